# Creates users and directories with systemd-sysusers and systemd-tmpfiles.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

make_users_and_directories() {
	# In its own unit: if it were killed together with this script, it would leave copies of /etc/shadow behind.
	write_user_files
	create_accounts systemd-run --quiet --collect --wait --pipe systemd-sysusers nexus.conf
	move_ledger
	systemd-tmpfiles --create nexus.conf
	# For a package, systemd does that itself.
	if [[ $prefix != /usr ]]; then journalctl --update-catalog; fi
	install -d --mode=0755 --owner=root --group=root /etc/nexus /etc/nexus/postgres
	install -d --mode=0700 --owner=root --group=root "$as_shipped" "$keys"
	set_owners_of_state
	# A run that was killed may have left partial files.
	find /etc/nexus "$as_shipped" "$share" -name '.*.partial.*' -delete
}

# Gives the jobs their own files back, which root may have restored. Changes only directories, and files with a single link, so that no
# link leads elsewhere. -execdir acts from the directory of each entry, even if its path changes meanwhile.
set_owners_of_state() {
	local name
	for name in backups proofs ledger alerts health metrics state/backup; do
		find "/var/lib/nexus/$name" -xdev \( -type d -o -type f -links 1 \) \( ! -user "$jobs_user" -o ! -group "$jobs_user" \) -execdir chown --no-dereference "$jobs_user:$jobs_user" {} +
	done
}

# Moves the purge ledger, which was in /var/lib/nexus itself until 0.1.0; now only root creates files there. Assembles it where no other
# user reaches it, and renames it into place in one step.
move_ledger() {
	local old=/var/lib/nexus new=/var/lib/nexus/ledger part=/var/lib/nexus/.ledger-moving name names=()
	for name in purge-ledger.{jsonl,head,handover,next,kept}; do
		if [[ -e $old/$name || -L $old/$name ]]; then names+=("$name"); fi
	done
	# A killed run may have left $part. It belongs to root: see secure_directories.
	if [[ -n ${names[*]} || -d $part ]]; then
		for name in "${names[@]}"; do
			[[ $(stat --format='%F %h %U' -- "$old/$name") =~ ^(regular\ (empty\ )?file\ 1|directory\ [0-9]+)\ $jobs_user$ ]] ||
				stop 78 "$old/$name must move to $new, but is not a regular file of user $jobs_user with a single link: check it, and move it yourself (chown $jobs_user:$jobs_user)"
		done
		[[ ! -e $new/purge-ledger.jsonl ]] ||
			stop 78 "there is a purge ledger in $old and another one in $new: compare both, and keep the one that was written last in $new"
		systemctl stop nexus-purge.service 'nexus-purge@*.service' 2>/dev/null || true
		install -d --mode=0700 "$part"
		for name in "${names[@]}"; do mv -T -- "$old/$name" "$part/$name"; done
		# Remove files that a purge has created there without a ledger.
		rm -f -- "$new"/{.lock,.purging.lock,purge-ledger.*}
		mv -T -- "$part" "$new"
		chown --no-dereference "$jobs_user:$jobs_user" "$new"
		rm -f -- "$old"/{.lock,.purging.lock,purge-ledger.{new,head.new,handover.new}}
	fi
	if [[ -s $settings && $(setting NEXUS_PURGE_LEDGER) == "$old/purge-ledger.jsonl" ]]; then set_settings "NEXUS_PURGE_LEDGER=$new/purge-ledger.jsonl"; fi
}
