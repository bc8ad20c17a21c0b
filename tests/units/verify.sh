#!/usr/bin/env bash
# The shipped units, on a machine where they are installed: systemd finds nothing to say about them, and their
# sandboxes are what they should be.
set -euo pipefail
shopt -s inherit_errexit
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source-path=SCRIPTDIR source=../live/checks.sh
. "$here/../live/checks.sh"

units=$here/../../units

# systemd-analyze verify exits 0 on a misspelt key: the gate is that it prints nothing.
verify_prints_nothing() { same "what it prints" "$(systemd-analyze verify --man=no "$1" 2>&1)" ""; }

# instance FILE: the unit's name; of a template one that can be looked at.
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

# Frequent starts, by hand or by a timer, are no failure.
starts_are_not_limited() { same "its start limit" "$(systemctl show --value --property=StartLimitIntervalUSec "$1")" 0; }
# Every reload starts the timers' jobs that are due at once.
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
# What faces clients can answer them and reach nobody; it is no user of the jobs, and in no group of theirs.
check has nexus-api.service PrivateNetwork yes
check has nexus-api.service RestrictAddressFamilies AF_UNIX
check has nexus-api.service User nexus-api
check has nexus-api.service SupplementaryGroups ""
check has nexus-api.service CapabilityBoundingSet ""
# What looks at the age of secrets can read any file and carry nothing away.
check has nexus-remote-note.service PrivateNetwork yes
check has nexus-remote-note.service User nexus
check has nexus-remote-note.service CapabilityBoundingSet cap_dac_read_search
# No other machine's request comes in by a socket that others open.
check has nexus-api-proxy.socket SocketGroup nexus-proxy
check has nexus-api-proxy.socket SocketMode 0660
# The one that reads journals cannot carry them away, and the one with a network cannot read them.
check has nexus-alert@x.service PrivateNetwork yes
check has nexus-alert@x.service RestrictAddressFamilies AF_UNIX
check has nexus-alert-retry.service SupplementaryGroups ""
check has nexus-alert-programs.service SupplementaryGroups ""

# As the unit would: same user, same sandbox.
backup_cannot_reach_docker() {
	fails "Permission denied" systemd-run --quiet --wait --pipe --collect --property=User=nexus --property=PrivateNetwork=yes \
		--property=PrivateUsers=yes --property=ProtectSystem=strict \
		python3 -c 'import socket; socket.socket(socket.AF_UNIX).connect("/run/docker.sock")'
}
check backup_cannot_reach_docker
report
