# Stopping NEXUS for good, with what setup has made round the units taken back.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

# The databases' volumes, /etc/nexus and /var/lib/nexus stay.
remove_services() {
	local unit
	take_places
	systemctl stop nexus.target nexus-stack.service 'nexus-*'
	switch_units_off
	# nexus-remote's doing.
	if [[ -e $units/nexus-api-proxy.socket ]]; then systemctl disable --quiet nexus-api-proxy.socket; fi
	if docker info >/dev/null 2>&1; then
		note_volumes
		remove_containers
		# A person's override file may have made some.
		docker network ls --quiet --filter label=com.docker.compose.project=nexus-memory-stack | xargs --no-run-if-empty docker network rm >/dev/null
	fi
	systemctl stop nexus-metrics.slice nexus-proxy.slice nexus.slice
	if mountpoint --quiet /run/nexus/scratch; then systemctl stop run-nexus-scratch.mount; fi
	for unit in nexus-backup nexus-restore-test nexus-health; do remove_drop_in "$(drop_in "$unit")"; done
	remove_user_files
}

# Those that are on are noted as not yet switched on, so that setting NEXUS up again does it; what the person had switched off
# stays off.
switch_units_off() {
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

# drop_in UNIT: what setup adds to it.
drop_in() { printf '%s/%s.service.d/10-nexus-places.conf' "$drop_ins" "$1"; }
