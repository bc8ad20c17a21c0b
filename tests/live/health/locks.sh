# Locks of other users: they neither stop nexus-health nor hide a backup that failed.
# shellcheck shell=bash disable=SC2154 # here is the caller's

theirs=/srv/locks-of-the-test

# locks_of_others ARGUMENT…: runs locks.py as another user, until release_locks.
locks_of_others() {
	local said
	# Bash forgets these at the end of the process.
	coproc holder { exec setpriv --reuid=nobody --regid=nogroup --clear-groups python3 -B -c "$(<"$here/health/locks.py")" "$@"; }
	holders_input=${holder[1]} holders_process=$!
	read -r -t 600 said <&"${holder[0]}"
	same "what the holder says" "$said" ready
}
release_locks() {
	exec {holders_input}>&-
	wait "$holders_process"
}

# /proc/locks lists the locks of all users. A million take 57 MB, as much as the unit may have; to read 160,000 takes a minute and a
# half, because the kernel counts from the first one again for every 4 KiB.
many_locks_of_others_do_no_harm() {
	local began
	install -d -o nobody "$theirs"
	locks_of_others many "$theirs" 64 2500
	began=$SECONDS
	same "the finding about backups" "$(last_backup)" "ok: The last backup is complete."
	began=$((SECONDS - began))
	echo "with 160,000 locks of others: all checks in $began s" >>"$work/times"
	((began < 45))
	release_locks
	rm -r "$theirs"
}

last_backup() { { nexus-health --once --json "$@" || true; } | jq --raw-output '.findings[] | select(.id == "backup-last") | .level + ": " + .sentence'; }

# Another user's file has the inode number of the lock, on another file system, and is locked.
locks_of_others_hide_no_failed_backup() {
	local name failed='warning: The last backup did not complete.'
	for name in backups files; do
		install -d "$theirs/$name"
		mount -t tmpfs -o mode=1777 none "$theirs/$name"
	done
	trap 'umount "$theirs/backups" "$theirs/files" && rm -r "$theirs"' EXIT
	touch "$theirs/backups"/{.lock,.unfinished}
	chmod 700 "$theirs/backups"
	chown -R nexus:nexus "$theirs/backups"
	same "the finding" "$(last_backup --backup-dir "$theirs/backups")" "$failed"
	locks_of_others same-number "$theirs/files" "$(stat --format=%i "$theirs/backups/.lock")"
	same "the finding" "$(last_backup --backup-dir "$theirs/backups")" "$failed"
	release_locks
}

a_backup_that_runs_is_seen() {
	local backup
	systemctl start --no-block nexus-backup.service
	backup=$(process_of nexus-backup)
	halted "$backup" test -e /var/lib/nexus/backups/.unfinished
	same "the finding" "$(last_backup)" "ok: A backup is running."
	kill -CONT "$backup"
	await 120 is_over nexus-backup.service
	same "the finding" "$(last_backup)" "ok: The last backup is complete."
}
is_over() { [[ $(systemctl show --property=ActiveState --value "$1") == inactive ]]; }
