#!/usr/bin/env bash
# What nexus-health costs at the interval that is shipped, beside Debian's prometheus-node-exporter and netdata where they are
# installed: memory and processor time over so many seconds, in the same run. Each of the others is asked every 15 seconds, as
# Prometheus would.
#
# usage: health-bench.sh [SECONDS]     (60; 600 is what the limits are meant for)
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

seconds=${1:-60}
declare -A units=([nexus-health]=nexus-health.service) url=() before=()

# beside NAME URL COMMAND…
beside() {
	local name=$1
	[[ -n $(type -P "$3") ]] || { echo "$name is not installed: measured without it" && return 0; }
	systemd-run --quiet --collect --unit="bench-$name" --property=CPUAccounting=yes "${@:3}"
	units[$name]=bench-$name.service url[$name]=$2
	await 30 curl --silent --fail --output /dev/null "$2"
}
end() { systemctl stop 'bench-*' 2>/dev/null || true; }
trap end EXIT

cpu() { systemctl show --property=CPUUsageNSec --value "$1"; }
# KiB, of all its processes.
memory() {
	local pid
	while read -r pid; do cat "/proc/$pid/status"; done <"/sys/fs/cgroup$(systemctl show --property=ControlGroup --value "$1")/cgroup.procs" |
		awk '/^VmRSS/ { sum += $2 } END { print sum }'
}
share() { awk -v used="$1" -v seconds="$seconds" 'BEGIN { printf "%.3f", used / 1e7 / seconds }'; }

beside node_exporter http://127.0.0.1:9100/metrics prometheus-node-exporter --web.listen-address=127.0.0.1:9100
beside netdata http://127.0.0.1:19999/api/v1/allmetrics netdata -D
await 60 systemctl is-active --quiet nexus-health

for name in "${!units[@]}"; do before[$name]=$(cpu "${units[$name]}"); done
began=$SECONDS
while ((SECONDS - began < seconds)); do
	for name in "${!url[@]}"; do curl --silent --output /dev/null "${url[$name]}"; done
	sleep $((seconds - (SECONDS - began) < 15 ? seconds - (SECONDS - began) : 15))
done
for name in "${!units[@]}"; do
	printf '%-14s %7s KiB  %7s %% of one processor, over %s s\n' "$name" "$(memory "${units[$name]}")" "$(share $(($(cpu "${units[$name]}") - before[$name])))" "$seconds"
done

little_memory() { (($(memory nexus-health.service) <= 8192)); }
little_processor() { awk -v share="$1" 'BEGIN { exit !(share <= 0.2) }'; }
check little_memory
check little_processor "$(share $(($(cpu nexus-health.service) - before[nexus-health])))"
report
