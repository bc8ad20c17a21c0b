# Tests that the servers recover from every fault with all their data.
# shellcheck shell=bash disable=SC2154 # keys and episodes are those of checks.sh and stack.sh

# Prints what must survive: the number of rows with a digest, and a key.
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
	# The target stops at once; its units stop later.
	await 60 inactive
	same "containers after a stop" "$(docker ps --quiet --filter name=nexus-)" ""
	same "PostgreSQL's end" "$(docker logs nexus-postgres 2>&1 | grep -c 'database system is shut down')" 1
	systemctl start nexus.target
	await 60 systemctl is-active --quiet nexus-stack.service
	systemctl is-active --quiet nexus-backup.timer
	all_is_back "$before"
}

# Ignores slices, which are empty.
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

# Like an upgrade of Docker: stop, then start.
upgrade_docker() {
	local before
	before=$(mark)
	systemctl stop docker.socket docker.service
	start_docker
	# Docker's start also starts this unit, which reloads the stack: wait for its end before the next check.
	systemctl start nexus-stack-revive.service
	all_is_back "$before"
	systemctl is-active --quiet nexus-stack.service
}

# ---- Redis's append-only file after a power cut

redis_data() { docker volume inspect --format '{{.Mountpoint}}' "$(docker inspect --format '{{range .Mounts}}{{if eq .Destination "/data"}}{{.Name}}{{end}}{{end}}' nexus-redis)"; }
redis_log() { find "$(redis_data)/appendonlydir" -name '*.incr.aof' | sort -V | tail -n 1; }
# with_redis_down COMMAND…: runs it while the stack is down, then starts the stack, and returns the start's status.
with_redis_down() {
	systemctl stop nexus-stack
	rm -f "$(redis_data)"/*.damaged
	"$@"
	systemctl start nexus-stack
}
copies() { find "$(redis_data)" -maxdepth 1 -name '*.damaged'; }
add_zeros() { cp --preserve=all "$1" /root/redis-log && head -c 8192 /dev/zero >>"$1"; }
# Commands as Redis writes them down: the dollars are its own.
# shellcheck disable=SC2016
add_half_a_command_and_zeros() { printf '*3\r\n$3\r\nSET\r\n$10\r\ncheck:ha' >>"$1" && head -c 5000 /dev/zero >>"$1"; }
# shellcheck disable=SC2016
add_half_a_command() { printf '*3\r\n$3\r\nSET\r\n$10\r\ncheck:ha' >>"$1"; }
# shellcheck disable=SC2016
add_zeros_and_a_command() { head -c 100 /dev/zero >>"$1" && printf '*3\r\n$3\r\nSET\r\n$5\r\ncheck\r\n$1\r\n1\r\n' >>"$1"; }

redis_lives_with_zeros_at_the_end_of_its_log() {
	local before log
	before=$(mark)
	log=$(redis_log)
	with_redis_down add_zeros "$log"
	all_is_back "$before"
	# Programs may have appended more since.
	cmp --bytes="$(stat --format=%s /root/redis-log)" /root/redis-log "$log"
	same "bytes more in the copy" $(($(stat --format=%s "$(copies)") - $(stat --format=%s /root/redis-log))) 8192
	docker logs nexus-redis 2>&1 | found 'ended in 8192 zero bytes'
	rm /root/redis-log
}
redis_lives_with_half_a_command() {
	local before damage
	before=$(mark)
	for damage in add_half_a_command add_half_a_command_and_zeros; do
		with_redis_down "$damage" "$(redis_log)"
		all_is_back "$before"
		same "a key of half a command" "$(redis EXISTS check:half)" 0
		[[ -n $(copies) ]]
	done
}
# Zeros before further commands are not the end of the file: nothing is truncated, and the stack runs without its cache.
the_memory_works_without_redis() {
	local before log sum
	before=$(as_owner --command="SELECT count(*) FROM $episodes")
	log=$(redis_log)
	cp --preserve=all "$log" /root/redis-log
	with_redis_down add_zeros_and_a_command "$log"
	sum=$(sha256sum "$log")
	same "the stack" "$(systemctl is-active nexus-stack)" active
	same "rows" "$(as_owner --command="SELECT count(*) FROM $episodes")" "$before"
	as_program --command='SELECT 1' >/dev/null
	await 60 redis_says 'Bad file format'
	same "the file" "$(sha256sum "$log")" "$sum"
	cat /root/redis-log >"$log"
	rm /root/redis-log
	docker restart nexus-redis >/dev/null
	await 90 healthy
	same "the key" "$(redis GET check:mark)" here
	rm -f "$(redis_data)"/*.damaged
}
redis_says() { docker logs nexus-redis 2>&1 | found "$1"; }

tidy_up() {
	as_owner --command="DELETE FROM $episodes WHERE content LIKE 'check: %'"
	redis DEL check:mark >/dev/null
	systemctl reset-failed
}
