# Running the parts, and the table at the end.
# shellcheck shell=bash disable=SC2034,SC2154 # what one part sets, another reads

logs=$(mktemp -d)
rows=()
total_passed=0
total_failed=0

# run_part NAME: its output is shown and kept; a part that dies counts as one failure.
run_part() {
	local name=$1 log=$logs/$1 began=$SECONDS status=0 passed failed
	printf '\n=== %s\n' "$name"
	: >"$log"
	# In the background, because bash forgets `set -e` in whatever is part of a condition.
	(set -euo pipefail && "part_$name") >"$log" 2>&1 &
	local pid=$!
	tail --quiet --lines=+1 --follow --pid="$pid" "$log" &
	local shown=$!
	wait "$pid" || status=$?
	wait "$shown" || true
	# Both kinds of closing lines: of the scripts, and of the Rust test runner.
	passed=$(sed -nE 's/^([0-9]+) passed, [0-9]+ failed$/\1/p; s/^test result: .* ([0-9]+) passed;.*/\1/p' "$log" | paste -sd+ | bc)
	failed=$(sed -nE 's/^[0-9]+ passed, ([0-9]+) failed$/\1/p; s/^test result: .* ([0-9]+) failed;.*/\1/p' "$log" | paste -sd+ | bc)
	passed=${passed:-0} failed=${failed:-0}
	if ((status != 0 && failed == 0)); then failed=1; fi
	if ((passed == 0 && failed == 0)); then
		echo "part $name has run no test"
		failed=1
	fi
	total_passed=$((total_passed + passed)) total_failed=$((total_failed + failed))
	rows+=("$(printf '%-10s %7d %7d %6d s' "$name" "$passed" "$failed" $((SECONDS - began)))")
}

# The table, what failed, the Rust test runner's closing lines, and the sum.
summary() {
	printf '\n%-10s %7s %7s %8s\n' part passed failed time
	printf '%s\n' "${rows[@]}"
	if ((total_failed)); then
		echo
		grep -hE '^FAILED |^test .* FAILED$|^error' "$logs"/* || true
	fi
	echo
	grep -hE '^test result: ' "$logs"/* | grep -v ' 0 passed; 0 failed; 0 ignored' || true
	printf '%d passed, %d failed\n' "$total_passed" "$total_failed"
	((total_failed == 0))
}
