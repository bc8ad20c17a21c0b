#!/usr/bin/env bash
# kill -9 at many moments of a restore, inside an installed machine: the database is at every moment the one that was there
# or the one that was restored, whole; and the next restore removes what the killed one left.
# usage: restore-kill.sh [KILLS [SEED]]
set -euo pipefail
shopt -s inherit_errexit
live=$(dirname "${BASH_SOURCE[0]}")/../live
# shellcheck source-path=SCRIPTDIR source=../live/checks.sh
. "$live/checks.sh"
# shellcheck source-path=SCRIPTDIR source=../live/sets.sh
. "$live/sets.sh"
# shellcheck source-path=SCRIPTDIR source=../live/restored.sh
. "$live/restored.sh"

kills=${1:-25}
seed=${2:-$(date +%s)}
RANDOM=$((seed % 32768))
echo "seed $seed"

work=$(mktemp -d)
trap 'rm -rf "$work"; drop_all kill_restore' EXIT
drop_all kill_restore
server --command='CREATE DATABASE kill_restore'
docker exec -i nexus-postgres psql -Xq --set=ON_ERROR_STOP=1 --dbname=kill_restore <<'SQL'
CREATE TABLE large AS SELECT i, md5(i::text) || repeat(md5((i * 7)::text), 20) AS text FROM generate_series(1, 60000) i;
CREATE INDEX ON large (text); CREATE INDEX ON large (i, text);
CREATE TABLE state AS SELECT 'of the set' AS name;
SQL
backup_of kill_restore "$work/sets" 2>/dev/null
server --dbname=kill_restore --command="UPDATE state SET name = 'living'"
apply=(nexus-restore apply latest --backup-dir "$work/sets" --pg-database kill_restore --no-redis --no-safety-backup --yes)

# The rows under the database's name, whichever of the two it is; and that programs can use it.
whole() {
	local state
	state=$(server --dbname=kill_restore --command='SELECT name FROM state')
	same "rows of \"$state\"" "$(server --dbname=kill_restore --command='SELECT count(*) FROM large')" 60000
	same "indexes of \"$state\"" "$(server --dbname=kill_restore --command="SELECT count(*) FROM pg_index WHERE indrelid = 'large'::regclass")" 2
	same "whether programs may connect to \"$state\"" "$(server --command="SELECT datallowconn, datconnlimit FROM pg_database WHERE datname = 'kill_restore'")" 't|-1'
	[[ $state == living || $state == 'of the set' ]]
	echo "$state"
}
# The living one takes its name back, and what was kept is removed.
again() {
	local kept
	kept=$(server --command="SELECT datname FROM pg_database WHERE datname ~ '^kill_restore before '")
	[[ -n $kept ]] || return 0
	docker exec nexus-postgres dropdb --force kill_restore
	server --command="ALTER DATABASE \"$kept\" RENAME TO kill_restore"
	same "the database that was kept" "$(server --dbname=kill_restore --command='SELECT name FROM state')" living
}

began=$(date +%s%3N)
"${apply[@]}" >/dev/null 2>&1
whole_run=$(($(date +%s%3N) - began))
again

kill_after() { # SIGNAL MILLISECONDS
	local pid status=0 state
	"${apply[@]}" >/dev/null 2>"$work/said" &
	pid=$!
	# A moment is what is wanted here, not a condition.
	sleep "$(($2 / 1000)).$(printf '%03d' $(($2 % 1000)))"
	kill "-$1" "$pid" 2>/dev/null || true
	wait "$pid" || status=$?
	await 20 no_restore_runs
	state=$(whole)
	if ((status != 0)); then echo "$1 $state" >>"$work/kills"; fi
	if [[ $1 == TERM && $status != 0 ]]; then
		same "the exit code after SIGTERM" "$status" 75
		grep -q 'stopped by a signal' "$work/said"
		same "what is there" "$state" living
		same "databases left" "$(databases_of kill_restore)" kill_restore
	fi
	again
}
next_restore_sweeps_and_succeeds() {
	"${apply[@]}" >/dev/null
	same "what is there" "$(whole)" 'of the set'
	same "what else is left" "$(server --command="SELECT datname FROM pg_database WHERE datname ~ ' restoring '")" ""
	again
}
most_hit_a_running_restore() { (($(wc -l <"$work/kills") * 2 > kills)); }

for ((i = 1; i <= kills; i++)); do
	check kill_after "$( ((i % 3)) && echo KILL || echo TERM)" $((RANDOM * whole_run / 32768))
done
check most_hit_a_running_restore
check next_restore_sweeps_and_succeeds
report
