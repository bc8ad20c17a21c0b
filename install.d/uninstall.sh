# Removing NEXUS: the programs and units always, what is the person's only with --purge.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

uninstall() {
	local place=/var/lib/nexus/backups
	if [[ -r $settings ]]; then place=$(setting NEXUS_BACKUP_DIR); fi
	if [[ $purge == yes ]]; then
		say_what_purge_removes "$place"
		[[ $yes == yes ]] || type_purge
	fi
	doing "stopping NEXUS"
	remove_services
	doing "removing its files"
	remove_files
	if [[ $purge == yes ]]; then
		doing "removing data, backups and keys"
		remove_data "$place"
		say "NEXUS and all it kept are gone from this machine"
	else
		cat <<-TEXT
			NEXUS is removed. What it kept is still here:
			  databases  Docker's volumes nexus_postgres_data and nexus_redis_data
			  backups    $place
			  keys       $keys (without these the databases do not open)
			  settings   /etc/nexus
			./install.sh takes all of it up again; ./install.sh --uninstall --purge removes it.
		TEXT
	fi
	doing ''
}

say_what_purge_removes() {
	local volume sets
	say "This removes, for good:"
	for volume in nexus_postgres_data nexus_redis_data; do
		if docker volume inspect "$volume" >/dev/null 2>&1; then
			say "  $volume: $(du -sh "$(docker volume inspect --format '{{.Mountpoint}}' "$volume")" | cut -f1) of databases"
		fi
	done
	if [[ -d /var/lib/nexus ]]; then
		sets=$(find /var/lib/nexus/backups -mindepth 1 -maxdepth 1 -type d -name '[0-9]*' 2>/dev/null | wc -l)
		say "  /var/lib/nexus: $(du -sh /var/lib/nexus | cut -f1), with $sets backup sets, the proofs and the ledger of what was purged"
	fi
	say "  /etc/nexus: settings, passwords, this machine's key and the list of who can open the backups"
	if [[ $1 != /var/lib/nexus/* ]]; then say "It leaves the backups in $1, which is not below /var/lib/nexus."; fi
}

type_purge() {
	local typed
	[[ -r /dev/tty && -t 1 ]] || stop 64 "there is no terminal to ask on: say --yes if you mean it"
	read -r -p 'Type purge to go on: ' typed </dev/tty
	[[ $typed == purge ]] || stop 64 "nothing was removed"
}

remove_services() {
	local unit
	if [[ -e $units/nexus.target ]]; then
		systemctl stop nexus.target nexus-stack.service 'nexus-*'
		while read -r _ unit; do
			if [[ -e $units/$unit ]]; then systemctl disable --quiet "$unit"; fi
		done < <(grep -h '^enable ' "$clone"/units/preset/*.preset)
		# nexus-remote's doing.
		systemctl disable --quiet nexus-api-proxy.socket
	fi
	if docker info >/dev/null 2>&1; then
		docker compose --project-name nexus down --remove-orphans
	fi
}

# remove_empty DIRECTORY: and those above it, but for the ones that Debian itself makes.
remove_empty() {
	local directory=$1
	until [[ $directory =~ ^(/usr/local(/(bin|lib|share|share/man))?|/)$ ]]; do
		rmdir -- "$directory" 2>/dev/null || break
		directory=$(dirname "$directory")
	done
}

remove_files() {
	local file
	if [[ -e $list_of_files ]]; then
		while IFS= read -r file; do
			rm -f -- "$file"
			remove_empty "$(dirname "$file")"
		done < <(cat "$list_of_files")
		rm -f -- "$list_of_files"
	fi
	rm -rf -- "$share"
	remove_drop_in nexus-backup
	remove_drop_in nexus-restore-test
	remove_drop_in nexus-health
	systemctl daemon-reload
	systemctl reset-failed 'nexus-*'
}

remove_data() {
	local volume
	for volume in nexus_postgres_data nexus_redis_data nexus_prometheus_data nexus_grafana_data; do
		if docker volume inspect "$volume" >/dev/null 2>&1; then docker volume rm "$volume" >/dev/null; fi
	done
	rm -rf --one-file-system -- /etc/nexus /var/lib/nexus /run/nexus
	# When each timer last ran.
	rm -f -- /var/lib/systemd/timers/stamp-nexus-*.timer
	if [[ $1 == /var/lib/nexus/* ]] && getent passwd nexus >/dev/null; then userdel nexus; fi
	if getent group nexus >/dev/null && ! getent passwd nexus >/dev/null; then groupdel nexus; fi
	# These own nothing that is left.
	local name
	for name in nexus-api nexus-proxy; do
		if getent passwd "$name" >/dev/null; then userdel "$name"; fi
		if getent group "$name" >/dev/null; then groupdel "$name"; fi
	done
}
