# Tests who can reach the servers, and what is visible from outside.
# shellcheck shell=bash disable=SC2154 # keys and episodes are those of checks.sh and stack.sh

system_runs() { same "the system's state" "$(systemctl is-system-running)" running; }

no_port() {
	# systemd listens for the API; the servers do not listen.
	same "listeners" "$(ss --no-header --listening --tcp --udp --processes --numeric | grep -E 'postgres|redis|docker-proxy|nexus|:8003' | awk '{ print $5 }' | sort | paste -sd' ')" "127.0.0.1:8003 [::1]:8003"
	same "PostgreSQL's network" "$(docker exec nexus-postgres ls /sys/class/net)" lo
	same "Redis' network" "$(docker exec nexus-redis ls /sys/class/net)" lo
}

# Runs it as a user other than root, with the given groups.
as_stranger() {
	local groups=$1
	shift
	setpriv --reuid=4711 --regid=4711 "$groups" "$@"
}

outside_the_group() {
	fails "Permission denied" as_stranger --clear-groups psql --host=/run/nexus/postgres --username=postgres --command='SELECT 1'
	fails "Permission denied" as_stranger --clear-groups redis-cli -s /run/nexus/redis/redis.sock PING
	fails "Permission denied" as_stranger --clear-groups ls /run/nexus
	fails "Permission denied" as_stranger --clear-groups cat /etc/nexus/nexus.env
	fails "Permission denied" as_stranger --clear-groups ls /etc/nexus/credentials /var/lib/nexus
}

inside_the_group() {
	fails "no password supplied" as_stranger --groups=nexus psql --host=/run/nexus/postgres --username=postgres --no-password --command='SELECT 1'
	fails "no password supplied" as_stranger --groups=nexus psql --host=/run/nexus/postgres --username=nexus_app --no-password --dbname=nexus --command='SELECT 1'
	same "Redis without a password" "$(as_stranger --groups=nexus redis-cli -s /run/nexus/redis/redis.sock GET x)" "NOAUTH Authentication required."
	fails "Permission denied" as_stranger --groups=nexus ls /etc/nexus/credentials
	same "a program's query" "$(as_program --command='SELECT current_user')" nexus_app
}

# No process of both containers is root, has a capability or can gain one, and no file of the image is writable.
containers_are_confined() {
	local container pid
	for container in nexus-postgres nexus-redis; do
		for pid in $(docker top "$container" -eo pid | tail -n +2); do
			same "the user of $container's process $pid" "$(awk '/^Uid:/ { print $2, $3, $4, $5 }' "/proc/$pid/status")" "999 999 999 999"
			same "its capabilities" "$(awk '/^Cap(Inh|Prm|Eff|Bnd|Amb):/ && $2 !~ /^0+$/' "/proc/$pid/status")" ""
			same "its no_new_privs" "$(awk '/^NoNewPrivs:/ { print $2 }' "/proc/$pid/status")" 1
			grep -q 'nexus\.slice' "/proc/$pid/cgroup"
		done
		fails "Read-only file system" docker exec "$container" touch /etc/x
	done
}

# No password is in the arguments or the environment of any process, during and after a backup, or visible in systemd and Docker. (A shell
# of this test that gets one in a here-document has it in neither.)
no_secret_shows() {
	local secrets found='' secret
	secrets=$(mktemp)
	for secret in postgres_password nexus_app_password nexus_embed_password redis_password redis_api_password; do
		cat "$keys/$secret"
		echo
	done >"$secrets"
	tail -n 1 "$keys/machine_identity" >>"$secrets"
	systemctl start --no-block nexus-backup.service
	until [[ -z $(systemctl list-jobs --no-legend nexus-backup.service) ]]; do
		found+=$(grep -lFaf "$secrets" /proc/[0-9]*/{cmdline,environ} 2>/dev/null || true)
	done
	same "the backup's result" "$(systemctl show --property=Result --value nexus-backup.service)" success
	found+=$(grep -lFaf "$secrets" /proc/[0-9]*/{cmdline,environ} 2>/dev/null || true)
	found+=$(docker inspect nexus-postgres nexus-redis | grep -Ff "$secrets" || true)
	found+=$(docker logs nexus-postgres 2>&1 | grep -Ff "$secrets" || true)
	found+=$(docker logs nexus-redis 2>&1 | grep -Ff "$secrets" || true)
	found+=$(journalctl --no-pager --all --output=export | grep -Faf "$secrets" || true)
	rm -f "$secrets"
	same "where a secret was found" "$found" ""
}
