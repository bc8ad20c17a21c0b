# Removes NEXUS: always the programs and units, and the owner's data only with --purge.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

uninstall() {
	local place
	place=$(place_of_backups)
	refuse_package
	if [[ $purge == yes ]]; then
		say_what_purge_removes "$place"
		[[ $yes == yes ]] || type_purge
	fi
	doing "stopping NEXUS"
	if [[ -e $units/nexus.target ]]; then remove_services; fi
	doing "removing its files"
	remove_files
	if [[ $purge == yes ]]; then
		doing "removing data, backups and keys"
		remove_data no
		if volume_exists nexus_postgres_data || volume_exists nexus_redis_data; then
			say "NEXUS is removed from this machine, except what is named above"
		else
			say "NEXUS and all its data are removed from this machine"
		fi
	else
		cat <<-TEXT
			NEXUS is removed. Its data is still here:
			  databases  Docker's volumes nexus_postgres_data and nexus_redis_data
			  backups    $place
			  keys       $keys (without these the databases do not open)
			  settings   /etc/nexus
			./install.sh uses all of it again; ./install.sh --uninstall --purge removes it.
		TEXT
	fi
	doing ''
}

# Only apt may remove what apt installed. With both installations, systemd would run one while an upgrade replaces the other.
refuse_package() {
	[[ ! -e /usr/lib/systemd/system/nexus.target ]] ||
		stop 69 "NEXUS is on this machine as a package: apt-get install ./nexus_….deb upgrades it, apt-get remove nexus removes it and keeps the data"
}

say_what_purge_removes() {
	local volume
	say "This removes, for good:"
	for volume in "${memory_volumes[@]}" "${metrics_volumes[@]}"; do
		if volume_exists "$volume" && volume_is_ours "$volume"; then
			say "  $volume: $(du -sh "$(docker volume inspect --format '{{.Mountpoint}}' "$volume")" | cut -f1) of databases"
		fi
	done
	if [[ -d /var/lib/nexus ]]; then
		say "  /var/lib/nexus: $(du -sh /var/lib/nexus | cut -f1), with the backup sets ($(count_sets /var/lib/nexus)), the proofs and the ledger of what was purged"
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

# remove_empty DIRECTORY: removes it and its parents if they are empty, except the directories that Debian itself creates.
remove_empty() {
	local directory=$1
	until [[ $directory =~ ^(/usr/local(/(bin|sbin|lib|share|share/man))?|/)$ ]]; do
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
	systemctl daemon-reload
	systemctl reset-failed 'nexus-*'
}
