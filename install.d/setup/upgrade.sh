# What an upgrade does besides: a backup first, where the database or the version changes.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

version_here() { cat "$share/version"; }

# Nothing, before NEXUS was ever set up.
version_set_up() { cat "$as_shipped/version" 2>/dev/null || true; }

was_set_up() { [[ -s $recipients && -s $settings ]]; }

# The memory as it was before this version touched it. Without that backup nothing is changed: the old programs and tables go on.
back_up_before_upgrade() {
	local pending from
	systemctl daemon-reload
	if ! systemctl is-active --quiet nexus-stack.service; then return; fi
	pending=$(pending_migrations)
	from=$(version_set_up)
	if [[ -z $pending && $from == "$(version_here)" ]]; then return; fi
	doing "backing up, before ${from:+$from becomes }version $(version_here) changes anything"
	if [[ -n $pending ]]; then say "the database gets: $(paste -sd' ' <<<"$pending")"; fi
	wait_for_unit 720 start nexus-backup.service || {
		journalctl --unit=nexus-backup.service --lines=15 --no-pager --output=cat | quoted
		stop 74 "the backup before the upgrade failed: its last lines are above. The database is as it was, and nothing else was started anew"
	}
	set_before=$(newest_set)
	say "to go back: the package or clone of ${from:-the version before}, and, if you want the memory of now again, nexus-restore apply ${set_before%%-*} (docs/UPGRADE.md)"
}

# Files that this version has and this database has not seen.
pending_migrations() {
	local file version done_before
	# A database that is not there yet, or is an older one, has seen none.
	done_before=$(timeout 60 docker exec nexus-postgres psql -XAtq --dbname="$(setting NEXUS_PG_DATABASE)" --command='SELECT version FROM nexus_memory.migrations' 2>/dev/null) || return 0
	for file in "$share"/compose/postgres/init/*.sql; do
		version=$(basename "$file")
		version=$((10#${version%%-*}))
		# 0000 makes the list, 0001 the role, 0003 is asserted each time: none of them is noted.
		if grep -q "INTO nexus_memory.migrations" "$file" && ! grep -qx "$version" <<<"$done_before"; then basename "$file"; fi
	done
}

# Name of the newest set.
newest_set() { find "$(setting NEXUS_BACKUP_DIR)" -mindepth 1 -maxdepth 1 -type d -name '[0-9]*-*Z' -printf '%f\n' | sort | tail -n 1; }

note_version() { version_here | put_if_new "$as_shipped/version" 0644 root:root; }
