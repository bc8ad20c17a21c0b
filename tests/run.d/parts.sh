# Running the parts, and the table at the end.
# shellcheck shell=bash disable=SC2034,SC2154 # what one part sets, another reads

logs=$(mktemp -d)

# Parts of one lane follow each other; lanes run side by side, so that each takes about as long: most parts wait for a
# server, a timer or a disk more than they compute. What measures has everything for itself.
lanes=(shared jobs own memory install faults pages code)
lane_of() {
	case $1 in
	bench | fuzz | engines) echo alone ;;
	# It compiles at a low priority, so nothing may wait for it.
	code) echo code ;;
	docs | try) echo pages ;;
	host | outside | health) echo own ;;
	embed | api | remote | lost) echo memory ;;
	# They wait for timers and for a vacuum, and share a machine of their own.
	purge | alert) echo jobs ;;
	# As long as two others.
	install) echo install ;;
	package | faults) echo faults ;;
	*) echo shared ;;
	esac
}

# run_parts NAME…
run_parts() {
	local name lane waiting=()
	for name; do
		lane=$(lane_of "$name")
		if [[ $lane == alone ]]; then
			run_lanes "${waiting[@]}"
			waiting=()
			run_part shown "$name"
		else
			waiting+=("$lane:$name")
		fi
	done
	run_lanes "${waiting[@]}"
}

# run_lanes LANE:NAME…: shown as it goes where there is but one lane.
run_lanes() {
	local lane pair how=later used=() parts
	(($#)) || return 0
	for lane in "${lanes[@]}"; do [[ " $*" != *" $lane:"* ]] || used+=("$lane"); done
	if ((${#used[@]} == 1)); then how=shown; else prepare; fi
	for lane in "${used[@]}"; do
		parts=()
		for pair; do [[ ${pair%%:*} != "$lane" ]] || parts+=("${pair#*:}"); done
		run_lane "$how" "${parts[@]}" &
	done
	wait
}

run_lane() {
	local how=$1 name
	for name in "${@:2}"; do run_part "$how" "$name"; done
}

# run_part shown|later NAME: its output is kept, and shown as it comes or when it has ended. A part that dies counts as one
# failure.
run_part() {
	local how=$1 name=$2 log=$logs/$2 began=$SECONDS status=0 passed failed pid shown
	: >"$log"
	echo "$name" >>"$logs/.order"
	# In the background, because bash forgets `set -e` in whatever is part of a condition.
	(set -euo pipefail && "part_$name") >"$log" 2>&1 &
	pid=$!
	if [[ $how == shown ]]; then
		printf '\n=== %s\n' "$name"
		tail --quiet --lines=+1 --follow --pid="$pid" "$log" &
		shown=$!
	fi
	wait "$pid" || status=$?
	if [[ $how == shown ]]; then
		wait "$shown" || true
	else
		# In one go, so that two lanes do not mix.
		{ printf '\n=== %s\n' "$name" && cat "$log"; } | flock "$logs/.order" cat
	fi
	# Both kinds of closing lines: of the scripts, and of the Rust test runner.
	passed=$(sed -nE 's/^([0-9]+) passed, [0-9]+ failed$/\1/p; s/^test result: .* ([0-9]+) passed;.*/\1/p' "$log" | paste -sd+ | bc)
	failed=$(sed -nE 's/^[0-9]+ passed, ([0-9]+) failed$/\1/p; s/^test result: .* ([0-9]+) failed;.*/\1/p' "$log" | paste -sd+ | bc)
	passed=${passed:-0} failed=${failed:-0}
	if ((status != 0 && failed == 0)); then failed=1; fi
	if ((passed == 0 && failed == 0)); then
		echo "part $name has run no test"
		failed=1
	fi
	printf '%s %d %d %d\n' "$name" "$passed" "$failed" $((SECONDS - began)) >>"$logs/.results"
}

# The table, the Rust test runner's closing lines, what failed, and the sum.
summary() {
	local name passed failed seconds total_passed=0 total_failed=0
	printf '\n%-10s %7s %7s %8s\n' part passed failed time
	while read -r name passed failed seconds; do
		printf '%-10s %7d %7d %6d s\n' "$name" "$passed" "$failed" "$seconds"
		total_passed=$((total_passed + passed)) total_failed=$((total_failed + failed))
	done <"$logs/.results"
	echo
	grep -hE '^test result: ' "$logs"/* | grep -v ' 0 passed; 0 failed; 0 ignored' || true
	# Last, where a reader of the end alone finds it.
	if ((total_failed)); then
		echo
		grep -E '^FAILED |^test .* FAILED$|^error' "$logs"/* | sed "s|^$logs/||" || true
	fi
	printf '%d passed, %d failed, in %d min %d s\n' "$total_passed" "$total_failed" $((SECONDS / 60)) $((SECONDS % 60))
	((total_failed == 0))
}
