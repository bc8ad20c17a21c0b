# Stops NEXUS for good, and removes what setup has added to the units.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

# Keeps the databases' volumes, /etc/nexus and /var/lib/nexus.
remove_services() {
	local unit
	secure_directories
	systemctl stop nexus.target nexus-stack.service 'nexus-*'
	disable_units
	# nexus-remote may have enabled it.
	if [[ -e $units/nexus-api-proxy.socket ]]; then systemctl disable --quiet nexus-api-proxy.socket; fi
	if docker info >/dev/null 2>&1; then
		note_volumes
		remove_containers
		# The owner's override file may have created some.
		docker network ls --quiet --filter label=com.docker.compose.project=nexus-memory-stack | xargs --no-run-if-empty docker network rm >/dev/null
	fi
	systemctl stop nexus-metrics.slice nexus-proxy.slice nexus.slice
	if mountpoint --quiet /run/nexus/scratch; then systemctl stop run-nexus-scratch.mount; fi
	for unit in nexus-backup nexus-restore-test nexus-health; do remove_drop_in "$(drop_in "$unit")"; done
	remove_user_files
}

# Disables the enabled units, and removes them from the list of units that setup has enabled, so that the next setup enables them
# again. Units that the owner has disabled stay disabled.
disable_units() {
	local unit noted=$as_shipped/enabled-units units_to_disable=()
	while read -r _ unit; do
		if systemctl is-enabled --quiet "$unit" 2>/dev/null; then units_to_disable+=("$unit"); fi
	done < <(grep '^enable ' "$preset")
	((${#units_to_disable[@]})) || return 0
	systemctl disable --quiet "${units_to_disable[@]}"
	if [[ -e $noted ]]; then
		put "$noted" 0644 root:root < <(grep -vxFf <(printf '%s\n' "${units_to_disable[@]}") "$noted")
	fi
}

# drop_in UNIT: prints the path of the drop-in that setup adds to it.
drop_in() { printf '%s/%s.service.d/10-nexus-places.conf' "$drop_ins" "$1"; }
