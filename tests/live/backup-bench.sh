#!/usr/bin/env bash
# nexus-backup beside `pg_dump -Fc -Z zstd:3 | age`, in turn, on a database of its own with 100,000 episodes; inside an
# installed machine. Prints a table. It fails when nexus-backup needs more than 64 MiB, and never because a machine is slow.
# usage: backup-bench.sh [EPISODES [ROUNDS]]
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/sets.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/episodes.sh"

episodes=${1:-100000}
rounds=${2:-3}
work=$(mktemp -d)
trap 'rm -rf "$work"; docker exec nexus-postgres dropdb --if-exists --force bench_backup' EXIT

episodes_in bench_backup "$episodes"

recipient=$(grep -m1 '^age1' /etc/nexus/recipients.txt)
# What a script would do; the same compression and the same encryption.
peer() { docker exec nexus-postgres pg_dump -Fc -Z zstd:3 bench_backup | age -r "$recipient" >"$work/peer.age"; }
ours() { backup_of bench_backup "$work/sets" >/dev/null 2>&1; }

# seconds COMMAND…
seconds() {
	local began=$EPOCHREALTIME
	"$@"
	awk -v a="$began" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.2f\n", b - a }'
}
median() { sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'; }

for ((round = 1; round <= rounds; round++)); do
	seconds ours >>"$work/ours"
	seconds peer >>"$work/peer"
	rm -rf "$work/sets"
done
# What the kernel counted as the largest resident size of the process, in KiB.
peak=$(python3 - "$work/sets" <<'PYTHON'
import os, resource, subprocess, sys
os.makedirs(sys.argv[1], mode=0o700)
subprocess.run(["nexus-backup", "--pg-database=bench_backup", "--backup-dir=" + sys.argv[1], "--redis=no"], check=True, capture_output=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
PYTHON
)
ours_bytes=$(du -sb "$work/sets/$(newest "$work/sets")" | cut -f1)
peer_bytes=$(stat -c %s "$work/peer.age")
awk -v n="$episodes" -v rounds="$rounds" -v o="$(median <"$work/ours")" -v p="$(median <"$work/peer")" -v ob="$ours_bytes" -v pb="$peer_bytes" -v peak="$peak" 'BEGIN {
	printf "%d episodes, median of %d rounds in turn\n", n, rounds
	printf "%-32s %10s %14s\n", "", "seconds", "bytes"
	printf "%-32s %10.2f %14d\n", "nexus-backup", o, ob
	printf "%-32s %10.2f %14d\n", "pg_dump -Fc -Z zstd:3 | age", p, pb
	printf "%-32s %10.2f %14.2f\n", "ratio", o / p, ob / pb
	printf "largest resident size of nexus-backup: %.1f MiB\n", peak / 1024 }'
memory_stays_below_64_mib() { ((peak < 64 * 1024)); }
set_is_smaller_than_a_dump() { ((ours_bytes < peer_bytes)); }
check memory_stays_below_64_mib
check set_is_smaller_than_a_dump
report
