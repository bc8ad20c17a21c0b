#!/usr/bin/env bash
# Tests the installed units: systemd-analyze verify prints nothing about them, and their sandboxes are as expected.
set -euo pipefail
shopt -s inherit_errexit
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source-path=SCRIPTDIR source=../live/checks.sh
. "$here/../live/checks.sh"

units=$here/../../units

# systemd-analyze verify exits 0 on a misspelt key, so it must print nothing.
verify_prints_nothing() { same "its output" "$(systemd-analyze verify --man=no "$1" 2>&1)" ""; }

# instance FILE: prints the unit's name; for a template, the name of an instance.
instance() { basename "${1/@./@x.}"; }

exposed_less_than() {
	local unit=$1 most=$2 level
	level=$(systemd-analyze security --no-pager "$unit" | sed -nE 's/.*Overall exposure level for .*: ([0-9.]+) .*/\1/p')
	[[ -n $level ]]
	awk -v level="$level" -v most="$most" 'BEGIN { exit !(level < most) }' || {
		printf '%s is exposed at %s, and not below %s\n' "$unit" "$level" "$most" >&2
		return 1
	}
}

# Frequent starts, by hand or by a timer, must not fail.
starts_are_not_limited() { same "its start limit" "$(systemctl show --value --property=StartLimitIntervalUSec "$1")" 0; }
# A reload starts the jobs of timers that are due.
reloads_fail_nothing() {
	local number
	for number in {1..12}; do systemctl daemon-reload; done
	await 60 none_is_starting
	same "failed after $number reloads" "$(systemctl list-units --plain --no-legend --state=failed 'nexus-*')" ""
}
none_is_starting() { [[ -z $(systemctl list-units --plain --no-legend --state=activating 'nexus-*') ]]; }

# No process that holds rows or keys may open Docker's socket or a connection.
has() { same "$2 of $1" "$(systemctl show --value --property="$2" "$1")" "$3"; }

for file in "$units"/*.{service,socket,timer,path,target,slice,mount}; do
	check verify_prints_nothing "$(instance "$file")"
done
for file in "$units"/*.service; do
	check exposed_less_than "$(instance "$file")" 1.5
done
for file in "$units"/*.service; do
	check starts_are_not_limited "$(instance "$file")"
done
check reloads_fail_nothing
check python3 "$here/hours.py" "$units"
for job in nexus-backup nexus-restore-test nexus-purge nexus-purge@x nexus-health; do
	check has "$job.service" PrivateNetwork yes
	check has "$job.service" RestrictAddressFamilies AF_UNIX
	check has "$job.service" User nexus
	check has "$job.service" CapabilityBoundingSet ""
	check has "$job.service" SupplementaryGroups ""
done
check has nexus-embed.service PrivateNetwork yes
check has nexus-embed.service RestrictAddressFamilies AF_UNIX
check has nexus-embed.service DynamicUser yes
check has nexus-embed.service SupplementaryGroups ""
check has nexus-embed-backfill.service PrivateNetwork yes
check has nexus-embed-backfill.service User nexus
# nexus-api answers clients, but can connect to nobody. It is neither the jobs' user nor in their group.
check has nexus-api.service PrivateNetwork yes
check has nexus-api.service RestrictAddressFamilies AF_UNIX
check has nexus-api.service User nexus-api
check has nexus-api.service SupplementaryGroups ""
check has nexus-api.service CapabilityBoundingSet ""
# nexus-remote-note reads the age of secrets: it can read any file, but send nothing.
check has nexus-remote-note.service PrivateNetwork yes
check has nexus-remote-note.service User nexus
check has nexus-remote-note.service CapabilityBoundingSet cap_dac_read_search
# Only nexus-proxy opens the socket for other machines' requests.
check has nexus-api-proxy.socket SocketGroup nexus-proxy
check has nexus-api-proxy.socket SocketMode 0660
# The unit that reads journals has no network, and the one with a network cannot read them.
check has nexus-alert@x.service PrivateNetwork yes
check has nexus-alert@x.service RestrictAddressFamilies AF_UNIX
check has nexus-alert-retry.service SupplementaryGroups ""
check has nexus-alert-programs.service SupplementaryGroups ""

# With the unit's user and sandbox.
backup_cannot_reach_docker() {
	fails "Permission denied" systemd-run --quiet --wait --pipe --collect --property=User=nexus --property=PrivateNetwork=yes \
		--property=PrivateUsers=yes --property=ProtectSystem=strict \
		python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect("/run/docker.sock")'
}
check backup_cannot_reach_docker
report
