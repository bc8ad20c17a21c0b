# Removing what NEXUS has kept. The package's script, which runs when its files are gone already, has this file in it: it needs
# no other one.
# shellcheck shell=bash

# Prints the directory of the backup sets.
place_of_backups() {
	local place=''
	if [[ -r /etc/nexus/nexus.env ]]; then place=$(sed -n 's/^NEXUS_BACKUP_DIR=//p' /etc/nexus/nexus.env | tail -n 1); fi
	printf '%s' "${place:-/var/lib/nexus/backups}"
}

# How many sets there are in $1.
count_sets() { find "$1" -mindepth 1 -maxdepth 1 -type d -name '[0-9]*' 2>/dev/null | wc -l; }

# remove_data BACKUPS KEEP: databases, keys, settings and state. The sets in the directory BACKUPS go with /var/lib/nexus, unless KEEP
# is yes: then they and their proofs stay, and the user who owns them. Sets elsewhere stay in any case.
remove_data() {
	local volume user owners=(nexus-api nexus-proxy) kept=()
	if [[ $2 == yes ]]; then kept=(! -path "$1" ! -path "$1/*" ! -path /var/lib/nexus/proofs ! -path '/var/lib/nexus/proofs/*'); fi
	for volume in nexus_postgres_data nexus_redis_data nexus_prometheus_data nexus_grafana_data; do
		if ! docker info >/dev/null 2>&1; then
			echo "nexus: Docker does not answer, so its volume $volume was not looked for: docker volume rm $volume" >&2
		elif docker volume inspect "$volume" >/dev/null 2>&1; then
			docker volume rm "$volume" >/dev/null
		fi
	done
	rm -rf --one-file-system -- /etc/nexus /run/nexus
	if [[ -d /var/lib/nexus ]]; then find /var/lib/nexus -xdev -depth -mindepth 1 "${kept[@]}" -delete 2>/dev/null || true; fi
	if [[ -d /var/lib/nexus ]]; then rmdir --ignore-fail-on-non-empty /var/lib/nexus; fi
	# When each timer last ran.
	rm -f -- /var/lib/systemd/timers/stamp-nexus-*.timer /run/lock/nexus-install
	# The first two own nothing that is left; nexus the sets, wherever they are.
	if (($(count_sets "$1") == 0)); then owners+=(nexus); fi
	for user in "${owners[@]}"; do
		if getent passwd "$user" >/dev/null; then userdel "$user"; fi
		if getent group "$user" >/dev/null; then groupdel "$user"; fi
	done
}
