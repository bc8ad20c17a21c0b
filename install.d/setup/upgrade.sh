# Takes a backup before an upgrade that changes the database or the version.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

version_here() { cat "$share/version"; }

# Prints the version that was set up last; nothing before the first setup.
version_set_up() { cat "$as_shipped/version" 2>/dev/null || true; }

was_set_up() { [[ -s $recipients && -s $settings ]]; }

# Backs up the memory before this version changes it. If the backup fails, nothing changes: the old programs and tables stay in use.
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
		stop 74 "the backup before the upgrade failed: its last lines are above. The database is unchanged, and nothing else was restarted"
	}
	set_before=$(newest_set)
	say "to go back, install the package or clone of ${from:-the version before}; to get this memory back too: nexus-restore apply ${set_before%%-*} (docs/UPGRADE.md)"
}

# Prints the migrations of this version that the database does not have yet.
pending_migrations() {
	local file version done_before
	# Without the database or its list, prints nothing.
	done_before=$(timeout 60 docker exec --interactive --env PGOPTIONS="-c search_path=pg_catalog -c role=none" nexus-postgres psql -XAtq --dbname="$(setting NEXUS_PG_DATABASE)" 2>/dev/null <<-'SQL'
		-- Only a table that no other role can have put there: reading a view runs the code of its owner.
		SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_roles o ON o.oid = c.relowner
			JOIN pg_roles s ON s.oid = n.nspowner WHERE n.nspname = 'nexus_memory' AND c.relname = 'migrations' AND c.relkind = 'r'
			AND o.rolsuper AND s.rolsuper) AS is_ours \gset
		\if :is_ours
		SELECT version FROM nexus_memory.migrations;
		\endif
	SQL
	) || return 0
	for file in "$share"/compose/postgres/init/*.sql; do
		version=$(basename "$file")
		version=$((10#${version%%-*}))
		# The list contains neither 0000, which creates it, nor 0001, which creates the role, nor 0003, which is asserted each time.
		if grep -q "INTO nexus_memory.migrations" "$file" && ! grep -qx "$version" <<<"$done_before"; then basename "$file"; fi
	done
}

# Prints the name of the newest set.
newest_set() { find "$(setting NEXUS_BACKUP_DIR)" -mindepth 1 -maxdepth 1 -type d -name '[0-9]*-*Z' -printf '%f\n' | sort | tail -n 1; }

note_version() { version_here | put_if_new "$as_shipped/version" 0644 root:root; }
