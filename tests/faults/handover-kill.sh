#!/usr/bin/env bash
# Kills a restore and an undo with SIGKILL at every call that changes a file, inside an installed machine. After the next run,
# database, ledger and keys belong to the same machine, no row is lost, and forgotten rows stay forgotten.
# usage: handover-kill.sh [EVERY-NTH]
set -euo pipefail
shopt -s inherit_errexit
live=$(dirname "${BASH_SOURCE[0]}")/../live
# shellcheck source-path=SCRIPTDIR source=../live/checks.sh
. "$live/checks.sh"
# shellcheck source-path=SCRIPTDIR source=../live/sets.sh
. "$live/sets.sh"
# shellcheck source-path=SCRIPTDIR source=../live/restored.sh
. "$live/restored.sh"
# shellcheck source-path=SCRIPTDIR source=../live/lethe.sh
. "$live/lethe.sh"

nth=${1:-1}
trap 'rm -rf "$work"; drop_all lethe' EXIT

# Machine B forgot all its episodes and got others; machine A has its own, and forgot one.
machine b
fill 1 20 goes
purge --all --yes 2>/dev/null
memory --command="INSERT INTO episode SELECT i, now(), 'b', '{}', 'b', 'of b' FROM generate_series(1, 10) i"
backup
machine a
fill 1 20 a
purge --episode 20 2>/dev/null
backup
install -d "$work/begin"
cp -a "$work/a/." "$work/begin"

# The state before machine A restored a set of B.
begin() {
	rm -rf "$work/a"
	cp -a "$work/begin" "$work/a"
	drop_all lethe
	fill 1 19 a
}
killed_at() {
	local call=$1 number=$2 status=0
	shift 2
	strace --follow-forks --quiet=all --output=/dev/null --trace="$call" --inject="$call:signal=KILL:when=$number" "$@" >"$work/said" 2>&1 || status=$?
	# The server ends the sessions of the killed process.
	await 20 no_restore_runs
	((status != 0)) || touch "$work/clean"
}
kind() { memory --command="SELECT string_agg(DISTINCT kind, ' '), count(*) FROM episode"; }
keys_of() { wc -l <"$NEXUS_CREDENTIALS/ledger_key"; }
knows_b() { purge --ledger --json | jq 'any(.[]; .what | startswith("all until"))'; }
left_over() { find "$work/a" -name '*.handover' -o -name '*.next'; }

# The nightly run removes no row, whichever database has the name.
night_erases_nothing() {
	local before
	before=$(kind)
	purge >"$work/night" 2>&1 || grep -q 'nexus-restore finish' "$work/night"
	same "rows after a night" "$(kind)" "$before"
}
# Database, ledger and keys belong together.
belongs_together() {
	case $(kind) in
	'a|'*) same "keys, and whether b's decision is known" "$(keys_of) $(knows_b)" '1 false' ;;
	'b|10') same "keys, and whether b's decision is known" "$(keys_of) $(knows_b)" '2 true' ;;
	*) echo "the database has the rows of neither machine: $(kind)" >&2 && return 1 ;;
	esac
	same "leftovers" "$(left_over)" ''
	night_erases_nothing
	same "open decisions" "$(purge --ledger --json | jq '[.[] | select(.rows == null)] | length')" 0
}
finish() { nexus-restore finish --pg-database lethe --purge-ledger "$ledger" >/dev/null; }

restore_killed() {
	local call=$1 number=$2 kept
	begin
	killed_at "$call" "$number" nexus-restore apply "$work/b/sets/$(newest "$work/b/sets")" --pg-database lethe --backup-dir "$sets" --purge-ledger "$ledger" --identity "$owner" --no-redis --no-safety-backup --yes
	night_erases_nothing
	kept=$(databases_of 'lethe before')
	case $((number % 3)) in
	0) finish ;;
	1) if [[ -n $kept ]]; then undo >/dev/null && [[ $(kind) == 'a|19' ]]; else finish; fi ;;
	2) apply b --no-safety-backup --yes >/dev/null 2>&1 && [[ $(kind) == 'b|10' ]] ;;
	esac
	belongs_together
	# And undo it, if that is possible.
	if [[ -n $(databases_of 'lethe before') ]]; then undo >/dev/null && belongs_together; fi
}

undo_killed() {
	local call=$1 number=$2
	begin
	apply b --no-safety-backup --yes >/dev/null 2>&1
	purge --episode 7 2>/dev/null
	killed_at "$call" "$number" nexus-restore undo --pg-database lethe --purge-ledger "$ledger" --yes
	purge >"$work/night" 2>&1 || grep -q 'nexus-restore finish' "$work/night"
	finish
	case $(kind) in
	'a|'*) same "keys, and whether b's decision is known" "$(keys_of) $(knows_b)" '1 false' ;;
	'b|9') same "keys, and whether b's decision is known" "$(keys_of) $(knows_b)" '2 true' && undo >/dev/null ;;
	esac
	same "rows" "$(kind)" 'a|18'
	same "leftovers" "$(left_over)" ''
	purge 2>/dev/null
	same "rows, and forgotten rows" "$(kind) $(memory --command="SELECT count(*) FROM episode WHERE id IN (7, 20)")" 'a|18 0'
}

# strace counts each kind of call separately.
for what in restore_killed undo_killed; do
	for call in unlink rename fsync; do
		rm -f "$work/clean"
		for ((number = 1; ; number += nth)); do
			check "$what" "$call" "$number"
			if [[ -e $work/clean || $failed -gt 5 ]]; then break; fi
		done
		echo "$what: no $call $number"
	done
done
# Otherwise nothing was killed.
((passed > 12)) || failed=$((failed + 1))
report
