# Runs the fault matrix in several machines that share its rows, because a case mostly waits.
# shellcheck shell=bash disable=SC2034,SC2154 # what one part sets, another reads

# Not empty: run the whole matrix.
long=
# The same cases in each run, so that a new failure comes from a change. NEXUS_TEST_SEED and --long choose other seeds.
seed=${NEXUS_TEST_SEED:-17048095}
# Every second row of the sample. The commit decides which half, so that a few commits cover all rows.
half=${NEXUS_FAULT_HALF:-$((0x$(git rev-parse HEAD | cut -c40) % 2))}

part_faults() {
	local machines=${NEXUS_FAULT_LANES:-2} lane pids=() status=0 kills=14 nth=6
	# The whole matrix keeps its results, so that another run executes only missing and failed cases.
	results=$logs/.faults
	if [[ -n $long ]]; then
		results=$PWD/target/faults-$seed
		machines=${NEXUS_FAULT_LANES:-5} kills=200 nth=1
	fi
	if [[ -n $long ]]; then echo "seed $seed"; else echo "seed $seed, half $half of the rows (NEXUS_TEST_SEED=$seed NEXUS_FAULT_HALF=$half repeats them)"; fi
	mkdir -p "$results"
	rm -f "$results"/*.taken
	build_binaries
	for ((lane = 1; lane <= machines; lane++)); do
		faults_lane "$lane" "$machines" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do wait "$pid" || status=$?; done
	installed faults-1
	matrix --report --markdown /root/results.md || status=$?
	if [[ -n $long ]]; then
		# The table of results replaces the last one.
		"$machine" copy "$installed_machine" --from /root/results.md "$logs/.faults.md"
		sed -i '/^## The last run$/q' docs/FAULTS.md
		{ echo && cat "$logs/.faults.md"; } >>docs/FAULTS.md
	fi
	in_machine faults/purge-kill.sh "$kills" "$seed" || status=$?
	in_machine faults/handover-kill.sh "$nth" || status=$?
	return "$status"
}

faults_lane() {
	installed "faults-$1" --bind "$results:/root/results"
	matrix --lane "$1/$2"
}

matrix() {
	local options=(--results /root/results --seed "$seed" --commit "$(git describe --always --dirty)")
	if [[ -n $long ]]; then options+=(--long); else options+=(--half "$half"); fi
	"$machine" exec "$installed_machine" -- env NEXUS_TEST_OWNER="$owner" python3 -B /root/nexus/tests/faults/matrix "${options[@]}" "$@"
}
