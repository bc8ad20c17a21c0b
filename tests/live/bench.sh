#!/usr/bin/env bash
# Tests nexus-bench inside an installed machine: each subcommand measures what it says, with small sizes. Checks only what does not
# depend on the machine's speed: memory, sizes, search results, that nothing is left. Prints the times.
# usage: bench.sh [EPISODES [IDLE_TIME]]
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

# Only --with-bench installs it.
PATH=$(realpath "$(dirname "${BASH_SOURCE[0]}")/../../bin"):$PATH
episodes=${1:-2000}
idle=${2:-60s}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# figure FILE MEASURE FIGURE: prints its value.
figure() { jq -e --arg measure "$2" --arg figure "$3" '.measures[] | select(.name == $measure) | .figures[] | select(.name == $figure) | .value' "$work/$1.json"; }
# at_most FILE MEASURE FIGURE LIMIT; at_least likewise.
at_most() { awk -v is="$(figure "${@:1:3}")" -v limit="$4" 'BEGIN { exit !(is <= limit) }' || { echo "$3 of $2 is $(figure "${@:1:3}")" >&2 && return 1; }; }
at_least() { awk -v is="$(figure "${@:1:3}")" -v limit="$4" 'BEGIN { exit !(is >= limit) }' || { echo "$3 of $2 is $(figure "${@:1:3}")" >&2 && return 1; }; }
databases() { docker exec nexus-postgres psql -XAtq --command="SELECT count(*) FROM pg_database WHERE datname ~ 'nexus_bench'"; }
measure() {
	local what=$1
	shift
	nexus-bench "$what" --json "$@" >"$work/$what.json"
	jq -r '.measures[] | "\(.name): \(.figures | map("\(.name) \(.value * 1000 | round / 1000)") | join(", "))"' "$work/$what.json"
}

backup_beside_pg_dump() {
	measure backup --episodes "$episodes" --rounds 1 --peers --only '| age'
	at_most backup nexus-backup 'memory MiB' 64
	at_most backup 'nexus-backup / pg_dump -Fc -Z zstd:3 | age' size 0.9
	figure backup 'the limit: COPY to nowhere' s
	figure backup 'stage COPY, zstd, age, SHA-256, write' MiB/s
	jq -e '.versions.PostgreSQL and .machine.processors > 0 and .settings.seed == "1"' "$work/backup.json"
	same "databases left" "$(databases)" 0
}
restore_beside_pg_restore() {
	measure restore --episodes "$episodes" --rounds 1 --peers --only 'pg_dump -Fc'
	at_most restore 'nexus-restore apply --serve-early' 'memory MiB' 64
	figure restore 'nexus-restore apply' 'complete s'
	figure restore 'pg_dump -Fc -Z zstd:3 | age, restored' 'complete s'
	same "databases left" "$(databases)" 0
}
api_finds_and_answers_also_during_jobs() {
	measure api --episodes "$episodes" --time 4s --clients 1,4 --queries 50 --cold --while backup,purge
	at_least api recall@10 'share found' 0.95
	at_least api 'recall@10, a filter keeps 1 %' 'share found' 0.95
	same "errors" "$(jq '[.measures[].figures[] | select(.name == "errors") | .value] | add' "$work/api.json")" 0
	at_least api 'search hybrid, during a backup' 1/s 0.1
	at_least api 'insert, during a purge' 1/s 0.1
	at_least api 'search vector, the first 50, cold' 1/s 0.1
	at_most api nexus-api 'memory MiB' 64
	same "databases left" "$(databases)" 0
}
little_is_resident() {
	# As after a boot: nexus-embed exits after five minutes without requests, and earlier checks have loaded nexus-api.
	systemctl stop nexus-embed.service
	systemctl restart nexus-api.service
	measure idle --time "$idle" --peers
	at_most idle 'all of NEXUS' 'memory MiB' 24
	at_most idle 'all of NEXUS' '% of a processor' 0.3
	at_most idle nexus-health 'memory MiB' "$(awk -v all="$(figure idle netdata 'memory MiB')" 'BEGIN { print all / 5 }')"
	at_most idle nexus-health '% of a processor' "$(awk -v all="$(figure idle netdata '% of a processor')" 'BEGIN { print all / 10 }')"
	figure idle prometheus-node-exporter 'memory MiB'
	same "units left" "$(systemctl list-units --plain --no-legend 'bench-*' | wc -l)" 0
}
boots() {
	measure boot --rounds 1 --yes
	figure boot nexus.target 'all is watched s'
	systemctl is-active --quiet nexus-stack nexus-health
}
is_compared_with_an_earlier_report() {
	jq '.measures |= map(.figures |= map(.value /= 100 | .runs |= map(. / 100)))' "$work/idle.json" >"$work/earlier.json"
	nexus-bench idle --time 1s --against "$work/earlier.json" >"$work/said"
	grep -q '^worse: nexus-health, memory MiB: ' "$work/said"
	fails "it is a report of nexus-bench idle, not of boot" nexus-bench boot --rounds 1 --against "$work/idle.json"
}
stopped_it_leaves_nothing() {
	nexus-bench backup --episodes 1000000 --rounds 1 2>/dev/null >"$work/stopped" &
	local bench=$!
	await 30 is_filling
	kill "$bench"
	wait "$bench" && return 1
	same "databases left" "$(databases)" 0
	same "its output" "$(<"$work/stopped")" ""
}
is_filling() { [[ -n $(docker exec nexus-postgres psql -XAtq --command="SELECT 1 FROM pg_stat_progress_copy WHERE datname = 'nexus_bench'") ]]; }

check backup_beside_pg_dump
check restore_beside_pg_restore
check api_finds_and_answers_also_during_jobs
check little_is_resident
check is_compared_with_an_earlier_report
check stopped_it_leaves_nothing
check boots
report
