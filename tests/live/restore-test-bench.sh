#!/usr/bin/env bash
# Measures the cost of a proof: nexus-restore-test and `nexus-restore apply --into` of the same set, in turn, inside an installed
# machine. Prints a table. Fails if the memory grows, but never because a machine is slow.
# usage: restore-test-bench.sh [EPISODES [ROUNDS]]
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/sets.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/episodes.sh"

episodes=${1:-100000}
rounds=${2:-1}
work=$(mktemp -d)
drop() { docker exec nexus-postgres dropdb --if-exists --force "$1" 2>/dev/null; }
trap 'rm -rf "$work"; drop bench_proof; drop bench_restored' EXIT

episodes_in bench_proof "$episodes"
vector_index_in bench_proof
backup_of bench_proof "$work/sets" >/dev/null 2>&1
install -d "$work/proofs"

restore() { nexus-restore apply latest --backup-dir="$work/sets" --into=bench_restored --yes --json >"$work/restored"; }
proof() { nexus-restore-test --backup-dir="$work/sets" --proofs-dir="$work/proofs" --json >"$work/proof"; }

# seconds COMMAND…: prints the seconds that it takes.
seconds() {
	local began=$EPOCHREALTIME
	"$@" 2>/dev/null
	awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f\n", b - a }'
}
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

for ((round = 1; round <= rounds; round++)); do
	seconds restore >>"$work/restore-times"
	drop bench_restored
	seconds proof >>"$work/proof-times"
done
jq --raw-output '.steps[] | [.name, .usec / 1e6] | @tsv' "$work/restored" | sort >"$work/restored-steps"
jq --raw-output '.steps[] | [.name, .usec / 1e6] | @tsv' "$work/proof" | sort >"$work/proof-steps"
peak=$(
	python3 - "$work" <<'PYTHON'
import resource, subprocess, sys
work = sys.argv[1]
subprocess.run(["nexus-restore-test", f"--backup-dir={work}/sets", f"--proofs-dir={work}/proofs"], check=True, capture_output=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
PYTHON
)
printf '%s episodes, median of %s rounds in turn\n' "$episodes" "$rounds"
printf '%-32s %10s %10s\n' "" restore proof
join -t $'\t' -a1 -a2 -e - -o 0,1.2,2.2 "$work/restored-steps" "$work/proof-steps" |
	awk -F'\t' '{ printf "%-32s %10s %10s\n", $1, $2 == "-" ? "-" : sprintf("%.2f s", $2), $3 == "-" ? "-" : sprintf("%.2f s", $3) }'
awk -v r="$(median <"$work/restore-times")" -v p="$(median <"$work/proof-times")" 'BEGIN {
	printf "%-32s %8.2f s %8.2f s   ratio %.2f\n", "together", r, p, p / r }'
jq --raw-output '.searches[] | "\(.index): recall@10 \(.recall), p95 \(.p95_usec / 1000) ms"' "$work/proof"
printf 'largest resident size of nexus-restore-test: %s MiB\n' "$((peak / 1024))"
memory_stays_below_64_mib() { ((peak < 64 * 1024)); }
check memory_stays_below_64_mib
report
