#!/usr/bin/env bash
# kill -9 at many moments of a backup, inside an installed machine: never a complete-looking set that is not whole, no
# process or session left, and the next run sweeps and succeeds.
# usage: backup-kill.sh [KILLS [SEED]]
set -euo pipefail
shopt -s inherit_errexit
live=$(dirname "${BASH_SOURCE[0]}")/../live
# shellcheck source-path=SCRIPTDIR source=../live/checks.sh
. "$live/checks.sh"
# shellcheck source-path=SCRIPTDIR source=../live/sets.sh
. "$live/sets.sh"

kills=${1:-40}
seed=${2:-$(date +%s)}
RANDOM=$((seed % 32768))
echo "seed $seed"

directory=$(mktemp -d)
trap 'rm -rf "$directory"; docker exec nexus-postgres dropdb --if-exists --force kill_me' EXIT

docker exec -i nexus-postgres psql -XAtq --set=ON_ERROR_STOP=1 --command='CREATE DATABASE kill_me'
docker exec -i nexus-postgres psql -XAtq --set=ON_ERROR_STOP=1 --dbname=kill_me <<'SQL'
CREATE TABLE large AS SELECT i, md5(i::text) || repeat(md5((i * 7)::text), 30) AS text FROM generate_series(1, 100000) i;
CREATE TABLE small AS SELECT * FROM generate_series(1, 1000) i;
SELECT count(lo_from_bytea(0, convert_to(repeat('large object ', 100000), 'UTF8'))) FROM generate_series(1, 20);
SQL

# How long a run takes that nobody kills, in milliseconds: the kills are spread over that.
began=$(date +%s%3N)
backup_of kill_me "$directory" 2>/dev/null
whole=$(($(date +%s%3N) - began))

killed_while_it_ran=0
kill_after() {
	local milliseconds=$1 before pid
	before=$(sets "$directory")
	backup_of kill_me "$directory" 2>/dev/null &
	pid=$!
	# The one place where a moment is what is wanted, not a condition.
	sleep "$((milliseconds / 1000)).$(printf '%03d' $((milliseconds % 1000)))"
	if pkill -KILL -x nexus-backup; then echo killed >>"$directory/.kills"; fi
	wait "$pid" || true
	all_whole "$directory"
	# A set that is new must have been complete before the kill.
	(($(sets "$directory" | wc -l) <= $(wc -w <<<"$before") + 1))
	await 10 nothing_runs
}

next_run_converges() {
	backup_of kill_me "$directory"
	all_whole "$directory"
	same "leftovers" "$(find "$directory" -maxdepth 1 -name '.*.partial' -o -maxdepth 1 -name '.*.removing')" ""
	nothing_runs
}

# Asked to stop in the midst of it, a run takes away what it has written and says that it was stopped.
terminated_run_leaves_nothing() {
	local pid status=0 before
	before=$(sets "$directory")
	backup_of kill_me "$directory" 2>"$directory/.said" &
	pid=$!
	await 20 something_is_written
	pkill -TERM -x nexus-backup
	wait "$pid" || status=$?
	same "the exit code" "$status" 75
	grep -q 'stopped by a signal' "$directory/.said"
	same "the sets" "$(sets "$directory")" "$before"
	same "leftovers" "$(find "$directory" -maxdepth 1 -name '.*.partial')" ""
	await 10 nothing_runs
}
something_is_written() { [[ -n $(find "$directory" -path '*.partial/data/*' -size +64k) ]]; }

check terminated_run_leaves_nothing
for ((i = 1; i <= kills; i++)); do
	check kill_after $((RANDOM * whole / 32768))
done
killed_while_it_ran=$(wc -l <"$directory/.kills")
most_kills_hit_a_running_backup() { ((killed_while_it_ran * 2 > kills)); }
check most_kills_hit_a_running_backup
check next_run_converges
report
