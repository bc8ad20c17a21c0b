#!/usr/bin/env bash
# How fast the API is, inside an installed machine: over a database of its own, by a nexus-api of its own. It fails when an
# answer is no answer, and when fewer than 95 % of the nearest ten are found; times are printed and judged by nobody, as this
# machine may be busy.
# usage: api-bench.sh [EPISODES [SECONDS [RATE [given|model]]]]
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

episodes=${1:-2000}
seconds=${2:-5}
rate=${3:-20}
vectors=${4:-given}
work=$(mktemp -d)
trap 'kill "$api"; wait "$api" || true; rm -rf "$work"; docker exec nexus-postgres dropdb --if-exists --force bench_api' EXIT

docker exec nexus-postgres dropdb --if-exists --force bench_api
docker exec nexus-postgres createdb bench_api
docker exec --env NEXUS_PG_DATABASE=bench_api nexus-postgres bash /nexus/migrate.sh
nexus-api --pg-database=bench_api --listen="$work/api.sock" &
api=$!
await 30 curl --silent --fail --unix-socket "$work/api.sock" http://localhost/health
measure() { nexus-bench api --socket="$work/api.sock" --pg-database=bench_api --episodes="$episodes" --time="${seconds}s" --rate="$rate" --vectors="$vectors" "$@"; }
measure --json >"$work/report"
jq . "$work/report"
printf 'nexus-api: %s KiB at most\n' "$(awk '/VmHWM/ { print $2 }' "/proc/$api/status")"

no_answer_is_an_error() { same "errors" "$(jq '[.times[].errors] | add' "$work/report")" 0; }
recall_is_95_percent() { jq -e ".$1 >= 0.95" "$work/report" >/dev/null; }
nothing_is_left() { same "rows" "$(docker exec nexus-postgres psql -XAtq --dbname=bench_api --command='SELECT count(*) FROM nexus_memory.zep_episodic_memory')" 0; }
check no_answer_is_an_error
check recall_is_95_percent recall_at_10
check recall_is_95_percent recall_at_10_filtered
check nothing_is_left
report
