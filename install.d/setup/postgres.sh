# Does a major upgrade of PostgreSQL. Each major version has its own cluster in the volume nexus_postgres_data, in a directory named
# after it; NEXUS_POSTGRES_MAJOR says which one is the memory. Until that setting is written, any failure, a power cut too, leads
# back to the old one.
# The upgrade takes no locks. Before the backup it restarts the old server read-only, where no program reaches it. After that server
# has ended, its cluster shows whether a session wrote nevertheless.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

check_upgrade() {
	local room
	healthy_memory || stop 69 "the memory is not well, so it cannot be upgraded: systemctl status nexus-stack nexus-health"
	from=$(setting NEXUS_POSTGRES_MAJOR)
	old_image=$(docker inspect --format '{{.Config.Image}}' nexus-postgres)
	to=$(major_of "$image")
	limits=$(no_limits "$from")
	((to > from)) || stop 64 "$image is PostgreSQL $to, and the memory was made with PostgreSQL $from. For another image of the same version, set NEXUS_POSTGRES_IMAGE in $settings, then systemctl reload nexus-stack"
	[[ ! -e $(clusters)/$to ]] || stop 73 "there is already a cluster of PostgreSQL $to, from an upgrade that was reverted: nexus-upgrade-postgres --finish removes it"
	room=$(df --output=avail --block-size=1 "$(clusters)" | tail -n 1)
	((room > $(du --summarize --bytes "$(clusters)/$from" | cut -f1) * 2 + (1 << 30))) ||
		stop 73 "there is too little room in $(clusters): the upgrade needs twice the size of the memory, and 1 GiB"
	check_movable
	starts_again || stop 78 "PostgreSQL would not restart with its present settings (see above): correct /etc/nexus/postgres/local.conf, or run ALTER SYSTEM RESET …"
	[[ $yes == yes ]] || agreed "Upgrade PostgreSQL $from to $to? Nothing can be stored or found meanwhile." || stop 64 "nothing was changed"
}

upgrade_postgres() {
	local set before wrote_last
	record_task upgrade "$from" "$to"
	doing "closing the memory to programs"
	stop_jobs
	serve_privately "$old_image" "$from" "-c default_transaction_read_only=on -c autovacuum=off" || stop 69 "the old server did not start again: docker logs nexus-postgres"
	wrote_last=$(next_transaction)
	doing "dumping what is in no backup"
	names_of_databases | put "$as_shipped/databases-of-$from" 0600 root:root
	read_old_server
	doing "backing up"
	before=$(newest_set)
	NEXUS_PG_HOST=$private nexus-backup || stop 74 "the backup failed: the cause is above"
	set=$(newest_set)
	[[ $set != "$before" ]] || stop 74 "there is no newer set than $before"
	doing "stopping PostgreSQL $from"
	docker stop nexus-postgres >/dev/null
	require_no_writes "$old_image" "$from" "$wrote_last"

	doing "starting PostgreSQL $to beside $from"
	allow_new_memory "$to"
	serve_privately "$image" "$to" || stop 69 "the new server did not start: docker logs nexus-postgres"
	rm -f "$new_memory"
	write_new_server
	doing "restoring $set, and comparing every row"
	NEXUS_PG_HOST=$private nexus-restore apply "$set" --backup-dir "$(setting NEXUS_BACKUP_DIR)" --no-redis --no-safety-backup --yes || stop 74 "the restore failed: the cause is above"
	guarded docker exec nexus-postgres bash /nexus/migrate.sh
	restore_databases

	doing "switching the memory to it"
	# Stops jobs that others have started meanwhile.
	require_same_server
	require_no_writes "$old_image" "$from" "$wrote_last"
	printf '%s %s\n' "$from" "$old_image" | put "$as_shipped/postgres-before" 0644 root:root
	switch_settings "$image" "$to"
	# From here on only --back leads back.
	doing ''
	reload_stack
	start_jobs
	rm -f "$note"
	prove_upgrade "$from" "$to"
}

# Takes the new server's first backup, and proves it. A failure here no longer undoes the upgrade.
prove_upgrade() {
	say "the memory runs on PostgreSQL $2 now; every row was compared with the backup"
	{ systemctl start nexus-backup.service && systemctl start nexus-restore-test.service; } ||
		complain "the first backup of PostgreSQL $2 or its proof failed: journalctl -u nexus-backup -u nexus-restore-test"
	nexus-restore list | tail -n 3
	cat <<-TEXT
		The cluster of PostgreSQL $1 stays as it was. It keeps even what is forgotten from now on:
		  nexus-upgrade-postgres --finish   removes it
		  nexus-upgrade-postgres --back     returns to it, without what is stored from now on
	TEXT
}

check_back() {
	from=$(setting NEXUS_POSTGRES_MAJOR) to=$(setting NEXUS_POSTGRES_MAJOR)
	if is_roots_file "$as_shipped/postgres-before"; then read -r to old_image <"$as_shipped/postgres-before"; fi
	[[ $to =~ $a_major && ($to == "$from" || $old_image =~ $an_image) ]] || stop 65 "$as_shipped/postgres-before names no version and image: nothing was changed"
	[[ $to != "$from" ]] || stop 64 "there is no older PostgreSQL to go back to"
	[[ -e $(clusters)/$to ]] || stop 64 "the cluster of PostgreSQL $to was removed; to restore an older set into a new cluster: docs/UPGRADE.md"
	[[ $yes == yes ]] || agreed "Go back to PostgreSQL $to? What was stored since the upgrade is not in it." || stop 64 "nothing was changed"
}

back_postgres() {
	record_task back "$from" "$to"
	doing "closing the memory to programs"
	stop_jobs
	limits=$(no_limits "$from")
	if healthy_memory; then names_of_databases | put "$as_shipped/databases-of-$from" 0600 root:root; fi
	doing "starting PostgreSQL $to again"
	serve_privately "$old_image" "$to" || stop 69 "the server did not start: docker logs nexus-postgres"
	guarded docker exec nexus-postgres bash /nexus/migrate.sh
	doing "repeating the purges since the upgrade"
	# The old cluster has already forgotten what was decided before the upgrade; repeating such a decision would delete rows that were
	# imported since. Nothing else writes there now, so an old pgvector does no harm.
	NEXUS_PG_HOST=$private nexus-purge --replay --since "$(date --utc --reference="$as_shipped/postgres-before" +%Y-%m-%dT%H:%M:%SZ)" --yes --old-pgvector || stop 74 "what was forgotten since the upgrade would be there again: the cause is above"
	doing "switching the memory to it"
	require_same_server
	switch_settings "$old_image" "$to"
	rm -f "$as_shipped/postgres-before"
	doing ''
	reload_stack
	start_jobs
	rm -f "$note"
	say "the memory runs on PostgreSQL $to again; the newer cluster stays until nexus-upgrade-postgres --finish"
}

# other_clusters: prints the version of each cluster that is not the memory.
other_clusters() {
	local cluster now
	now=$(setting NEXUS_POSTGRES_MAJOR)
	for cluster in "$(clusters)"/*/; do
		cluster=$(basename "$cluster")
		if [[ $cluster =~ ^[0-9]+$ && $cluster != "$now" ]]; then printf '%s\n' "$cluster"; fi
	done
}

check_finish() {
	local cluster now lost
	now=$(setting NEXUS_POSTGRES_MAJOR)
	limits=$(no_limits "$now")
	[[ -e $(clusters)/$now/docker/PG_VERSION ]] || stop 78 "there is no cluster of PostgreSQL $now (NEXUS_POSTGRES_MAJOR in $settings): nothing was removed"
	healthy_memory || stop 69 "the memory is not well, so no other cluster is removed: systemctl status nexus-stack nexus-health"
	for cluster in $(other_clusters); do
		lost=$(lost_with "$cluster")
		[[ -z $lost ]] || stop 69 "the cluster of PostgreSQL $cluster has databases that PostgreSQL $now lacks: $lost. Nothing was removed. To remove one for good: --drop-database NAME"
		[[ $yes == yes ]] || agreed "Remove the cluster of PostgreSQL $cluster ($(du -sh "$(clusters)/$cluster" | cut -f1); databases: $(cat "$as_shipped/databases-of-$cluster" 2>/dev/null || echo "not noted")) for good?" ||
			stop 64 "nothing was removed"
	done
}

finish_postgres() {
	local cluster place
	place=$(clusters)
	# A half-removed cluster cannot be used to go back.
	rm -f "$as_shipped/postgres-before"
	for cluster in $(other_clusters); do
		rm -rf --one-file-system -- "${place:?}/${cluster:?}"
		rm -f "$as_shipped/databases-of-$cluster"
		say "the cluster of PostgreSQL $cluster is removed"
	done
}
