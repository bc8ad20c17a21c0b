# What is done to the servers, and that they come back with all they held.
# shellcheck shell=bash disable=SC2154 # keys and episodes are those of checks.sh and stack.sh

# What must survive: how many rows, and a key.
mark() { redis SET check:mark here >/dev/null && as_owner --command="SELECT count(*), sum(hashtext(content)) FROM $episodes"; }
all_is_back() {
	await 90 healthy
	same "the rows" "$(as_owner --command="SELECT count(*), sum(hashtext(content)) FROM $episodes")" "$1"
	same "the key" "$(redis GET check:mark)" here
}

stop_and_start() {
	local before
	before=$(mark)
	systemctl stop nexus.target
	# The target is down at once, and what belongs to it goes down after.
	await 60 inactive
	same "containers after a stop" "$(docker ps --quiet --filter name=nexus-)" ""
	same "how PostgreSQL ended" "$(docker logs nexus-postgres 2>&1 | grep -c 'database system is shut down')" 1
	systemctl start nexus.target
	await 60 systemctl is-active --quiet nexus-stack.service
	systemctl is-active --quiet nexus-backup.timer
	all_is_back "$before"
}

# But for slices, which hold nothing any more.
inactive() { [[ -z $(systemctl list-units --no-legend --plain --type=service,socket,timer,path,target --state=active,activating,deactivating 'nexus-*' 'nexus.target') ]]; }

kill_containers() {
	local before pids
	before=$(mark)
	mapfile -t pids < <(docker top nexus-postgres -eo pid | tail -n +2 && docker top nexus-redis -eo pid | tail -n +2)
	kill -KILL "${pids[@]}"
	await 30 none_alive "${pids[@]}"
	all_is_back "$before"
}
none_alive() { ! kill -0 "$@"; }

kill_docker() {
	local before
	before=$(mark)
	kill -KILL "$(systemctl show --property=MainPID --value docker.service)"
	await 30 docker info
	all_is_back "$before"
	systemctl is-active --quiet nexus-stack.service
}

# What an upgrade of Docker does: stop, then start.
upgrade_docker() {
	local before
	before=$(mark)
	systemctl stop docker.socket docker.service
	systemctl start docker.service
	all_is_back "$before"
	systemctl is-active --quiet nexus-stack.service
}

tidy_up() {
	as_owner --command="DELETE FROM $episodes WHERE content LIKE 'check: %'"
	redis DEL check:mark >/dev/null
	systemctl reset-failed
}
