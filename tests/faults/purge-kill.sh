#!/usr/bin/env bash
# Kills a purge with SIGKILL at many moments, inside an installed machine. No row that must stay is lost, and the ledger is intact.
# The next run deletes all rows that must go, with their copies in Redis, and leaves no decision open.
# usage: purge-kill.sh [KILLS [SEED]]
set -euo pipefail
shopt -s inherit_errexit
live=$(dirname "${BASH_SOURCE[0]}")/../live
# shellcheck source-path=SCRIPTDIR source=../live/checks.sh
. "$live/checks.sh"

kills=${1:-200}
seed=${2:-$(date +%s)}
RANDOM=$((seed % 32768))
echo "seed $seed"

work=$(mktemp -d)
trap 'rm -rf "$work"; docker exec nexus-postgres dropdb --if-exists --force kill_me; redis EVAL "\"for _, k in ipairs(redis.call(\x27KEYS\x27, \x27kill:*\x27)) do redis.call(\x27DEL\x27, k) end\"" 0 >/dev/null' EXIT

# By the socket, because docker exec takes three times as long.
install --mode=0600 /etc/nexus/credentials/postgres_pgpass "$work/pgpass"
kill_me() { PGPASSFILE=$work/pgpass psql --host=/run/nexus/postgres --username=postgres -XAtq --set=ON_ERROR_STOP=1 --dbname=kill_me "$@"; }
purge() {
	nexus-purge --pg-database=kill_me --purge-ledger="$work/ledger.jsonl" --table public.episode --key-column id --time-column at --type-column kind \
		--agent-column agent --redis-copies kill: --batch 100 --yes "$@"
}
count() { kill_me --command="SELECT count(*) FROM episode WHERE $1"; }

docker exec nexus-postgres createdb kill_me
kill_me --command="CREATE TABLE episode (id bigint PRIMARY KEY, at timestamptz, kind text, tags text[], agent text, text text)" \
	--command="INSERT INTO episode SELECT i, now(), 'stays', '{}', 'a', repeat(md5(i::text), 20) FROM generate_series(1, 3000) i"
stays=$(kill_me --command="SELECT md5(string_agg(e::text, '' ORDER BY id)) FROM episode e")

# Adds rows that must go, between those that stay.
add() {
	kill_me --command="INSERT INTO episode SELECT i, now() - interval '9 days', 'goes', '{gone}', 'b', repeat(md5(i::text), 20) FROM generate_series(1000001, 1002000) i"
	redis SET kill:1000001 copy >/dev/null
	redis SET kill:1 copy >/dev/null
}
words() {
	case $(($1 % 4)) in
	0) echo '--ttl goes=5d' ;;
	1) echo '--tag gone' ;;
	2) echo '--agent b' ;;
	3) echo "--episode $(seq -s ' ' 1000001 1000400)" ;;
	esac
}

# The milliseconds of an undisturbed run, over which the kills are spread. The shortest of three, because the first has cold caches.
whole=999999
for _ in 1 2 3; do
	add
	began=$(date +%s%3N)
	purge --ttl goes=5d 2>/dev/null
	took=$(($(date +%s%3N) - began))
	whole=$((took < whole ? took : whole))
done

killed_and_finished() {
	local number=$1 milliseconds=$2 pid words status=0 held
	words=$(words "$number")
	while ((status != 137)); do
		add
		# Every seventh run waits for a locked row, and is killed there.
		if ((number % 7 == 0)); then hold_a_row; fi
		# shellcheck disable=SC2086 # several words
		purge $words >/dev/null 2>&1 &
		pid=$!
		if ((number % 7 == 0)); then
			await 60 purge_waits
		else
			# Here a random moment is wanted, not a condition.
			sleep "$((milliseconds / 1000)).$(printf '%03d' $((milliseconds % 1000)))"
		fi
		pkill -KILL -x nexus-purge || true
		status=0
		wait "$pid" || status=$?
		if ((number % 7 == 0)); then let_go; fi
		# Repeat a run that ended before the kill, and kill it sooner.
		if ((status != 137)); then
			milliseconds=$((milliseconds / 2))
			kill_me --command='DELETE FROM episode WHERE id > 1000000'
			purge --ledger --json | jq length >"$work/decisions"
		fi
	done
	if (($(kill_me --command="SELECT count(*) FROM episode WHERE kind = 'goes'") > 0 && $(wc -l <"$work/ledger.jsonl") > 0)); then echo midway >>"$work/midway"; fi
	same "the rows that stay" "$(kill_me --command="SELECT md5(string_agg(e::text, '' ORDER BY id)) FROM episode e WHERE kind = 'stays'")" "$stays"
	purge --ledger >/dev/null
	# The next run, without any selection, finishes what was decided.
	purge 2>"$work/said"
	same "open decisions" "$(purge --ledger --json | jq '[.[] | select(.rows == null)] | length')" 0
	if [[ $(decided) == yes ]]; then
		same "rows that should be gone" "$(count "$(gone "$number")")" 0
		same "the copy of a removed row" "$(redis EXISTS kill:1000001)" 0
	else
		# Killed before the decision was written: no row may be gone.
		same "rows that nobody decided about" "$(count "kind = 'goes'")" 2000
	fi
	same "another copy" "$(redis GET kill:1)" copy
	# shellcheck disable=SC2086 # several words
	purge --ttl goes=5d 2>/dev/null
	same "rows left in the end" "$(count "kind = 'goes'")" 0
	same "the rows that stay" "$(kill_me --command="SELECT md5(string_agg(e::text, '' ORDER BY id)) FROM episode e")" "$stays"
	purge --ledger --json | jq length >"$work/decisions"
}
hold_a_row() {
	kill_me --command=BEGIN --command="SELECT 1 FROM episode WHERE id = 1000300 FOR UPDATE" --command="SELECT pg_sleep(600)" >/dev/null 2>&1 &
	held=$!
	await 60 fails 'could not obtain lock' kill_me --command="SELECT 1 FROM episode WHERE id = 1000300 FOR UPDATE NOWAIT"
}
purge_waits() { [[ $(kill_me --command="SELECT count(*) FROM pg_stat_activity WHERE application_name = 'nexus-purge' AND wait_event_type = 'Lock'") == 1 ]]; }
let_go() {
	kill_me --command="SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'" >/dev/null
	wait "$held" || true
}
gone() { if (($1 % 4 == 3)); then echo 'id BETWEEN 1000001 AND 1000400'; else echo "kind = 'goes'"; fi; }
# Whether the killed run had written its decision.
decided() { if (($(purge --ledger --json | jq length) > $(<"$work/decisions"))); then echo yes; else echo no; fi; }

purge --ledger --json | jq length >"$work/decisions"
touch "$work/midway"
for ((i = 1; i <= kills; i++)); do
	check killed_and_finished "$i" $((RANDOM * whole / 32768))
done
some_kills_left_rows() { (($(wc -l <"$work/midway") > 0)); }
check some_kills_left_rows
printf '%d kills hit a running purge, %d of them left rows that must go\n' "$kills" "$(wc -l <"$work/midway")"
report
