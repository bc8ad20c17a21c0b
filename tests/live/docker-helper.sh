#!/usr/bin/env bash
# Tests nexus-docker on an installed machine with the stack up: what it does and refuses. If any process between a client and a tool
# inside the container dies, the tool and its server process die too. Takes two minutes, and breaks things on purpose: do not run it on
# a machine in use.
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work"

# Sends one request over the bare protocol, like any other client. Its exit code is the tool's; 200 is a refusal, 201 a closed
# connection. Sends standard input if the request takes any.
cat >"$work/ask" <<'PYTHON'
#!/usr/bin/env python3
import os, select, socket, struct, sys

request = sys.argv[1].encode() + b"\n"
asked = socket.socket(socket.AF_UNIX)
asked.connect("/run/nexus/docker.sock")
asked.sendall(request)
pending, ended, got = b"", b"restore" not in request.split(b",")[0], b""
while True:
    if not ended and not pending:
        pending = os.read(0, 65536)
        if not pending:
            ended = True
            asked.shutdown(socket.SHUT_WR)
    readable, writable, _ = select.select([asked], [asked] if pending else [], [])
    if writable:
        try:
            pending = pending[asked.send(pending, socket.MSG_DONTWAIT):]
        except BlockingIOError:
            pass
        except (BrokenPipeError, ConnectionResetError):
            pending, ended = b"", True
    if not readable:
        continue
    try:
        some = asked.recv(1 << 20)
    except ConnectionResetError:
        some = b""
    if not some:
        print("cut", file=sys.stderr)
        sys.exit(201)
    got += some
    while len(got) >= 5 and len(got) >= 5 + (length := struct.unpack(">I", got[1:5])[0]):
        kind, payload, got = got[:1], got[5:5 + length], got[5 + length:]
        if kind == b"x":
            sys.exit(struct.unpack(">i", payload)[0] & 255)
        if kind == b"r":
            print("refused:", payload.decode(), file=sys.stderr)
            sys.exit(200)
        target = sys.stdout if kind == b"o" else sys.stderr
        target.buffer.write(payload)
        target.flush()
PYTHON
chmod 755 "$work/ask"

ask() { runuser --user nexus -- "$work/ask" "$1"; }
# status WANTED COMMAND…: the command must exit with WANTED.
status() {
	local wanted=$1 got=0
	shift
	"$@" || got=$?
	same "the status of $*" "$got" "$wanted"
}
# sql DATABASE [OPTION…]: runs psql as the superuser.
sql() { docker exec -i nexus-postgres psql -XAtq --set=ON_ERROR_STOP=1 --dbname "$@"; }
restore() { ask "{\"request\":\"restore\",\"database\":\"$1\",\"section\":\"$2\"}"; }
fresh() { sql postgres --command="DROP DATABASE IF EXISTS $1 WITH (FORCE)" --command="CREATE DATABASE $1"; }

# Opens a session in the database $1 that keeps an exported snapshot; sets $snapshot.
snapshot_of() {
	coproc session { docker exec -i nexus-postgres psql -XAtq --dbname="$1"; }
	printf 'BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT pg_export_snapshot();\n' >&"${session[1]}"
	read -r snapshot <&"${session[0]}"
}
dump() { ask "{\"request\":\"dump\",\"database\":\"$1\",\"snapshot\":\"$2\",\"exclude_table_data\":[$3]}"; }

only_nexus_may_ask() {
	same "the socket" "$(stat --format='%U:%G %a' /run/nexus/docker.sock)" "nexus:nexus 600"
	fails "Permission denied" setpriv --reuid=4711 --regid=4711 --clear-groups "$work/ask" '{"request":"containers"}'
	fails "Permission denied" setpriv --reuid=4711 --regid=4711 --groups=nexus "$work/ask" '{"request":"containers"}'
}

units_are_sound() {
	same "the output of verify" "$(systemd-analyze verify --man=no nexus-docker.socket nexus-docker@1.service 2>&1)" ""
	systemd-analyze security --no-pager --threshold=10 nexus-docker@1.service >/dev/null
}

containers_are_listed() {
	ask '{"request":"containers"}' >"$work/containers"
	same "their names" "$(jq --raw-output .name "$work/containers" | sort | tr '\n' ' ')" "nexus-postgres nexus-redis "
	same "their health" "$(jq --raw-output '.state + " " + .health' "$work/containers" | sort -u)" "running healthy"
	same "the fields" "$(jq --raw-output 'keys | join(",")' "$work/containers" | sort -u)" "files,health,image,image_id,mounts,name,ports,project,restart_count,started_at,state"
}

# Containers of others, which an image may give any labels: those of the stack, a line feed and what looks like a line of docker's, and
# more text than the helper reads of docker.
labels_of_others_change_no_list() {
	local image project=com.docker.compose.project number
	image=$(docker inspect --format '{{.Config.Image}}' nexus-redis)
	trap 'docker ps --all --quiet --filter name=^others- | xargs docker rm --volumes >/dev/null' EXIT
	docker create --name others-labels --label "$project=nexus-memory-stack" --label com.docker.compose.service=postgres "$image" >/dev/null
	docker create --name others-line --label "$project=x"$'\n'y "$image" >/dev/null
	docker create --name others-id --label "$project=x"$'\n'"$(printf '0%.0s' {1..64})|nexus-memory-stack|" "$image" >/dev/null
	for number in {1..12}; do
		docker create --name "others-long-$number" --label "$project=$(head --bytes=100000 /dev/zero | tr '\0' x)" "$image" >/dev/null
	done
	ask '{"request":"containers"}' >"$work/containers"
	same "their names" "$(jq --raw-output .name "$work/containers" | sort | tr '\n' ' ')" "nexus-postgres nexus-redis "
	same "the images" "$(ask '{"request":"daemon"}' | jq --raw-output '.images | keys | length')" 2
}

# A foreign image may have the label of throwaway servers.
only_throwaway_servers_are_swept() {
	trap 'docker rm --volumes others-scratch >/dev/null' EXIT
	docker create --name others-scratch --label nexus.scratch "$(docker inspect --format '{{.Config.Image}}' nexus-redis)" >/dev/null
	ask '{"request":"scratch-down"}'
	docker inspect others-scratch >/dev/null
	same "leftovers" "$(ask '{"request":"daemon"}' | jq .scratch)" 0
}

what_is_refused_is_told() {
	status 200 ask '{"request":"exec","argv":["sh"]}'
	status 200 ask '{"request":"containers","all":true}'
	status 200 ask '{"request":"restart","service":"nexus-postgres"}'
	status 200 dump nexus --help ''
	status 200 dump "$(printf 'x%.0s' {1..64})" 00000003-0000001B-1 ''
	status 1 dump nexus 00000003-0000001B-1 ''
	status 1 dump 'nexus host=/tmp' 00000003-0000001B-1 ''
	await 30 no_helper_is_left
}

# nexus-health asks twice a minute, forever: a successful reading logs no line, neither of the helper nor of systemd.
reading_is_quiet_and_failing_is_not() {
	local cursor
	# A helper logs after it has answered: wait for the lines of earlier requests before the cursor is read.
	await 10 no_helper_is_left
	cursor=$(journalctl --lines=1 --show-cursor --quiet | sed -n 's/^-- cursor: //p')
	# journald cannot find out the unit of a process that has gone.
	while_journald_is_behind nexus-docker asks_for_containers >/dev/null
	ask '{"request":"daemon"}' >/dev/null
	status 200 ask '{"request":"exec"}'
	await 10 said_since "$cursor" 'an invalid request for uid'
	same "lines but that one" "$(since "$cursor" | grep -v 'an invalid request for uid' || true)" ""
}
# Gives its helper two seconds to end, unless it waits.
asks_for_containers() {
	local end=$((SECONDS + 2))
	ask '{"request":"containers"}'
	until no_helper_is_left || ((SECONDS >= end)); do sleep 0.1; done
}
since() { journalctl --after-cursor="$1" --unit='nexus-docker@*' --output=cat; }
no_helper_is_left() { [[ -z $(systemctl list-units --no-legend --all 'nexus-docker@*') ]]; }
said_since() { since "$1" | found -F "$2"; }

rows_make_the_round_trip() {
	fresh check_from
	# shellcheck disable=SC1078 # these are SQL's quotes
	sql check_from >/dev/null <<-'SQL'
		CREATE TABLE plain AS SELECT i, md5(i::text) FROM generate_series(1, 200000) i;
		CREATE SCHEMA "s.""*?'\$(id)";
		CREATE TABLE "s.""*?'\$(id)"."--help
		x" AS SELECT 1 AS left_out;
		CREATE TABLE "s.""*?'\$(id)".kept AS SELECT 2 AS kept;
		CREATE INDEX ON plain (i);
		SELECT lo_from_bytea(0, 'large');
	SQL
	snapshot_of check_from
	# shellcheck disable=SC2016 # nothing is to expand: that is the point
	dump check_from "$snapshot" '{"schema":"s.\"*?'"'"'\\$(id)","table":"--help\nx"}' >"$work/dump"
	fresh check_to
	local section
	for section in pre-data data post-data; do restore check_to "$section" <"$work/dump"; done
	same "rows" "$(sql check_to --command='SELECT count(*), sum(hashtext(md5)) FROM plain')" "$(sql check_from --command='SELECT count(*), sum(hashtext(md5)) FROM plain')"
	same "indexes" "$(sql check_to --command="SELECT count(*) FROM pg_indexes WHERE tablename = 'plain'")" 1
	same "large objects" "$(sql check_to --command='SELECT count(*) FROM pg_largeobject')" 1
	same "tables and rows of the odd schema" "$(sql check_to --command="SELECT table_name, (xpath('//c/text()', query_to_xml(format('SELECT count(*) AS c FROM %I.%I', table_schema, table_name), false, true, '')))[1]
		FROM information_schema.tables WHERE table_schema LIKE 's.%' ORDER BY 1" | tr '\n' ' ')" "--help x|0 kept|1 "
}

roles_carry_no_password() {
	ask '{"request":"dump-roles"}' >"$work/roles"
	grep -q '^CREATE ROLE nexus_app;' "$work/roles"
	fails "" grep -iE 'password|SCRAM' "$work/roles"
}

damage_is_reported() {
	fresh check_to
	status 1 restore check_to pre-data </etc/passwd
	status 1 restore no_such_database pre-data <"$work/dump"
	restore check_to pre-data <"$work/dump"
	status 1 restore check_to data < <(head --bytes=1000000 "$work/dump")
	same "rows of a broken restore" "$(sql check_to --command='SELECT count(*) FROM plain')" 0
}

# The largest number of names in a dump.
many_tables_fit() {
	python3 -c 'print(",".join("{\"schema\":\"public\",\"table\":\"t%06d\"}" % i for i in range(25000)))' >"$work/tables"
	snapshot_of check_from
	printf '{"request":"dump","database":"check_from","snapshot":"%s","exclude_table_data":[%s]}' "$snapshot" "$(<"$work/tables")" >"$work/request"
	# In a file, because it exceeds the limit of an argument.
	sed -i 's/^request = .*/request = (open(sys.argv[1][1:], "rb").read() if sys.argv[1][0] == "@" else sys.argv[1].encode()) + b"\\n"/' "$work/ask"
	chmod 644 "$work/request"
	ask "@$work/request" >"$work/out"
	same "the archive's first bytes" "$(head --bytes=5 "$work/out")" PGDMP
}

# ---- Any process dies

tools_inside() { docker exec nexus-postgres sh -c 'for p in /proc/[0-9]*; do tr "\0" " " <$p/cmdline; echo; done 2>/dev/null' | grep -E '^(nice|pg_dump|pg_restore|sh -c (echo \$\$|cd "/proc))' || true; }
servers_at_work() { sql postgres --command="SELECT pid, query FROM pg_stat_activity WHERE application_name IN ('pg_dump', 'pg_restore')"; }
nothing_left() { [[ -z $(tools_inside) && -z $(servers_at_work) && -z $(systemctl list-units --no-legend 'nexus-docker@*') ]]; }
at_work() { [[ $(servers_at_work) == *"$1"* ]]; }

kill_the() {
	case $1 in
	asker) pkill -KILL --full "^python3 $work/ask" ;;
	helper) pkill -KILL --exact nexus-docker ;;
	tools_docker_cli) pkill -KILL --full '^docker exec .*(pg_dump|pg_restore)' ;;
	lifelines_docker_cli) pkill -KILL --full '^docker exec .*echo ready' ;;
	both_docker_clis) pkill -KILL --full '^docker exec --interactive' ;;
	unit_in_order) systemctl stop 'nexus-docker@*' ;;
	unit_outright) systemctl kill --signal=KILL 'nexus-docker@*' ;;
	esac
}

# A dump waits for a lock of another session.
waiting_dump_ends_with_the() {
	snapshot_of check_from
	docker exec -i nexus-postgres psql -XAtq --dbname=check_from --command='BEGIN' --command='LOCK TABLE plain' --command='SELECT pg_sleep(60)' >/dev/null &
	local locker=$!
	await 10 sql check_from --command="SELECT 1 / count(*) FROM pg_locks WHERE relation = 'plain'::regclass AND mode = 'AccessExclusiveLock' AND granted"
	dump check_from "$snapshot" '' >/dev/null 2>&1 &
	await 10 at_work "LOCK TABLE"
	kill_the "$1"
	await 15 nothing_left
	sql postgres --command="SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'" >/dev/null
	wait "$locker" || true
}

# A restore's server executes a long statement, with more input sent and unread.
busy_restore_ends_with_the() {
	restore check_busy post-data <"$work/busy" >/dev/null 2>&1 &
	await 10 at_work "CREATE INDEX"
	kill_the "$1"
	await 15 nothing_left
}
make_the_busy_one() {
	fresh check_from_busy
	sql check_from_busy >/dev/null <<-'SQL'
		CREATE TABLE t AS SELECT 1 AS a;
		CREATE TABLE z AS SELECT i, md5(i::text) FROM generate_series(1, 100000) i;
		CREATE FUNCTION public.slow(int) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT $1::bigint';
		CREATE INDEX ON t (public.slow(a));
		CREATE OR REPLACE FUNCTION public.slow(int) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT count(*) FROM generate_series(1, 100000000000) i WHERE i > $1';
	SQL
	docker exec nexus-postgres pg_dump -Fc -Z0 check_from_busy >"$work/busy"
	fresh check_busy
	restore check_busy pre-data <"$work/busy"
	restore check_busy data <"$work/busy"
}

stalled_restore_ends_with_the() {
	fresh check_to
	restore check_to pre-data <"$work/dump"
	mkfifo "$work/stalled"
	restore check_to data <"$work/stalled" >/dev/null 2>&1 &
	exec 9>"$work/stalled"
	head --bytes=2000000 "$work/dump" >&9
	await 10 at_work "COPY public.plain"
	kill_the "$1"
	await 15 nothing_left
	exec 9>&-
	rm "$work/stalled"
	same "rows of a broken restore" "$(sql check_to --command='SELECT count(*) FROM plain')" 0
}

a_stopped_container_is_reported() {
	docker stop nexus-postgres >/dev/null
	fails "is not running" ask '{"request":"dump-roles"}'
	same "its state" "$(ask '{"request":"containers"}' | jq --raw-output 'select(.name == "nexus-postgres").state')" exited
	docker start nexus-postgres >/dev/null
	await 60 healthy
}

a_restart_restarts() {
	local before after
	before=$(docker inspect --format '{{.State.StartedAt}}' nexus-redis)
	ask '{"request":"restart","service":"redis"}'
	after=$(docker inspect --format '{{.State.StartedAt}}' nexus-redis)
	[[ $after != "$before" ]]
	await 60 healthy
}

# ---- Redis

redis_volume() { docker volume inspect --format '{{.Mountpoint}}' nexus_redis_data; }
redis_restore() { ask '{"request":"redis-restore"}'; }
take_redis() {
	redis SET check:mark earlier >/dev/null
	redis-cli -s /run/nexus/redis/redis.sock --no-auth-warning -a "$(<"$keys/redis_password")" --rdb "$work/rdb" >/dev/null 2>&1
	redis SET check:mark now >/dev/null
	redis SET check:later 1 >/dev/null
}

damaged_redis_is_refused() {
	local before
	before=$(ls "$(redis_volume)")
	status 65 redis_restore </dev/null
	status 65 redis_restore </etc/passwd
	status 65 redis_restore < <(head --bytes=-9 "$work/rdb")
	python3 - "$work/rdb" >"$work/flipped" <<-'PYTHON'
		import sys
		data = bytearray(open(sys.argv[1], "rb").read())
		data[-12] ^= 1
		sys.stdout.buffer.write(data)
	PYTHON
	status 65 redis_restore <"$work/flipped"
	same "the key" "$(redis GET check:mark)" now
	same "leftovers in the volume" "$(ls "$(redis_volume)")" "$before"
}

# The file is complete, but Redis cannot start with it: its library of functions is not Lua.
redis_restores_its_previous_data() {
	python3 - >"$work/no-lua" <<-'PYTHON'
		import sys
		library = b"#!lua name=x\nthis is no lua"
		sys.stdout.buffer.write(b"REDIS0011\xf5" + bytes([len(library)]) + library + b"\xff" + bytes(8))
	PYTHON
	status 1 redis_restore <"$work/no-lua"
	same "the key" "$(redis GET check:mark)" now
	healthy
	rm -r "$(redis_volume)"/appendonlydir.failed-restore-*
}

redis_comes_back() {
	local kept
	kept=$(redis_restore <"$work/rdb")
	[[ $kept == appendonlydir.before-restore-* && -d $(redis_volume)/$kept ]]
	same "the key" "$(redis GET check:mark)" earlier
	same "the later key" "$(redis EXISTS check:later)" 0
	redis SET check:mark after >/dev/null
	docker restart nexus-redis >/dev/null
	await 60 healthy
	same "the key after a restart" "$(redis GET check:mark)" after
	rm -r "$(redis_volume)/${kept:?}"
}

a_second_redis_restore_is_refused() {
	mkfifo "$work/slow"
	redis_restore <"$work/slow" >/dev/null 2>&1 &
	exec 9>"$work/slow"
	await 10 docker inspect nexus-redis-restore
	status 75 redis_restore <"$work/rdb"
	pkill -KILL --full "^python3 $work/ask"
	exec 9>&-
	await 10 nothing_left
	await 10 bash -c '! docker inspect nexus-redis-restore'
	healthy
}

the_journal_says_who_and_what_but_no_content() {
	journalctl --unit='nexus-docker@*' --since=-10min --output=cat >"$work/journal"
	grep -qE "^dump for uid $(id --user nexus) pid [0-9]+: exit 0, [0-9]+ bytes out, 0 bytes in, [0-9.]+ s$" "$work/journal"
	fails "" grep -E 'plain|check_from|COPY|md5' "$work/journal"
}

tidy_up() {
	local database
	for database in check_from check_to check_busy check_from_busy; do sql postgres --command="DROP DATABASE IF EXISTS $database WITH (FORCE)"; done
	redis DEL check:mark check:later >/dev/null
	same "units that failed" "$(systemctl list-units --no-legend --failed 'nexus-docker*')" ""
}

check only_nexus_may_ask
check units_are_sound
check containers_are_listed
check labels_of_others_change_no_list
check only_throwaway_servers_are_swept
check what_is_refused_is_told
check reading_is_quiet_and_failing_is_not
check rows_make_the_round_trip
check roles_carry_no_password
check damage_is_reported
check many_tables_fit
check make_the_busy_one
for who in asker helper tools_docker_cli lifelines_docker_cli both_docker_clis unit_in_order unit_outright; do
	# A dump has its lifeline in the same command.
	[[ $who == lifelines_docker_cli ]] || check waiting_dump_ends_with_the "$who"
	check busy_restore_ends_with_the "$who"
done
check stalled_restore_ends_with_the asker
check stalled_restore_ends_with_the helper
check a_stopped_container_is_reported
check a_restart_restarts
check take_redis
check damaged_redis_is_refused
check redis_restores_its_previous_data
check redis_comes_back
check a_second_redis_restore_is_refused
check the_journal_says_who_and_what_but_no_content
check tidy_up
report
