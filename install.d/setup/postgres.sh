# A major upgrade of PostgreSQL. Each major version has a cluster of its own in the volume nexus_postgres_data, in a directory
# named after it; NEXUS_POSTGRES_MAJOR says which one is the memory. Until that setting is written, every way out, a power cut too,
# leads back to the old one.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

# What must not happen meanwhile, and starts again afterwards.
jobs_units=(nexus-backup.timer nexus-purge.timer nexus-restore-test.timer nexus-first-proof.timer nexus-embed-backfill.timer nexus-health.service)
gate=/run/nexus/postgres
holder=''

upgrade_postgres() {
	local from to room set old_image
	trap leave_upgrade EXIT
	step="checking what there is"
	healthy_memory || stop 69 "the memory is not well, so it cannot be upgraded: systemctl status nexus-stack nexus-health"
	from=$(setting NEXUS_POSTGRES_MAJOR)
	old_image=$(docker inspect --format '{{.Config.Image}}' nexus-postgres)
	to=$(major_of "$image")
	((to > from)) || stop 64 "$image is PostgreSQL $to, and the memory is $from's: for an image of the same version set NEXUS_POSTGRES_IMAGE in $settings, then systemctl reload nexus-stack"
	[[ ! -e $(clusters)/$to ]] || stop 73 "there is a cluster of PostgreSQL $to already, of an upgrade that was broken off or gone back from: nexus-upgrade-postgres --finish removes it"
	room=$(df --output=avail --block-size=1 "$(clusters)" | tail -n 1)
	((room > $(du --summarize --bytes "$(clusters)/$from" | cut -f1) * 2 + (1 << 30))) ||
		stop 73 "there is too little room in $(clusters): twice what the memory takes, and 1 GiB, are needed"
	[[ $yes == yes ]] || agreed "Upgrade PostgreSQL $from to $to? Nothing can be stored or found meanwhile." || stop 64 "nothing was changed"

	doing "letting nobody write"
	stop_jobs
	hold_writers
	doing "backing up"
	systemctl start nexus-backup.service || {
		journalctl --unit=nexus-backup.service --lines=15 --no-pager --output=cat >&2
		stop 74 "the backup failed: its last lines are above"
	}
	set=$(newest_set)
	close_gate
	release_writers

	doing "starting PostgreSQL $to beside $from"
	compose_with "$image" "$to" || stop 69 "the new server did not start: docker logs nexus-postgres"
	docker exec nexus-postgres bash /nexus/migrate.sh
	doing "restoring $set, and comparing every row"
	nexus-restore apply "$set" --backup-dir "$(setting NEXUS_BACKUP_DIR)" --no-redis --no-safety-backup --yes || stop 74 "the restore failed: the cause is above"
	docker exec nexus-postgres bash /nexus/migrate.sh
	drop_what_migrate_made

	doing "making it the memory"
	printf '%s %s\n' "$from" "$old_image" | put "$as_shipped/postgres-before" 0644 root:root
	switch_settings "$image" "$to"
	# From here on there is no way back but --back.
	doing ''
	open_gate
	reload_stack
	start_jobs
	prove_upgrade "$from" "$to"
}

# The new server's own backup, and its proof. They change nothing any more.
prove_upgrade() {
	say "the memory is PostgreSQL $2's now; every row was compared with the backup"
	{ systemctl start nexus-backup.service && systemctl start nexus-restore-test.service; } ||
		complain "the first backup of PostgreSQL $2 or its proof failed: journalctl -u nexus-backup -u nexus-restore-test"
	nexus-restore list | tail -n 3
	cat <<-TEXT
		PostgreSQL $1's cluster is kept, as it was. It holds what is forgotten from now on, too:
		  nexus-upgrade-postgres --finish   removes it
		  nexus-upgrade-postgres --back     takes it again, without what is stored from now on
	TEXT
}

back_postgres() {
	local to image
	[[ -s $as_shipped/postgres-before ]] || stop 64 "there is no older PostgreSQL to go back to"
	read -r to image <"$as_shipped/postgres-before"
	[[ -e $(clusters)/$to ]] || stop 64 "the cluster of PostgreSQL $to was removed; an older set in a new one: docs/UPGRADE.md"
	[[ $yes == yes ]] || agreed "Go back to PostgreSQL $to? What was stored since the upgrade is not in it." || stop 64 "nothing was changed"
	stop_jobs
	switch_settings "$image" "$to"
	rm -f "$as_shipped/postgres-before"
	reload_stack
	start_jobs
	say "the memory is PostgreSQL $to's again; the newer cluster is kept too, until nexus-upgrade-postgres --finish"
}

finish_postgres() {
	local cluster now place
	place=$(clusters)
	now=$(setting NEXUS_POSTGRES_MAJOR)
	[[ -e $place/$now/docker/PG_VERSION ]] || stop 78 "there is no cluster of PostgreSQL $now (NEXUS_POSTGRES_MAJOR in $settings): nothing was removed"
	for cluster in "$place"/*/; do
		cluster=$(basename "$cluster")
		if [[ ! $cluster =~ ^[0-9]+$ || $cluster == "$now" ]]; then continue; fi
		[[ $yes == yes ]] || agreed "Remove the cluster of PostgreSQL $cluster ($(du -sh "$place/$cluster" | cut -f1)) for good?" || stop 64 "nothing was removed"
		rm -rf --one-file-system -- "${place:?}/$cluster"
		say "the cluster of PostgreSQL $cluster is removed"
	done
	rm -f "$as_shipped/postgres-before"
}

# On EXIT: where the new one did not become the memory, the old one is it again.
leave_upgrade() {
	local status=$?
	if ((status == 0)) || [[ -z $step ]]; then return; fi
	complain "stopped while $step; the cause is above. What runs now is the PostgreSQL of before, with every row"
	release_writers || true
	# As the settings say, which still name the old one.
	systemctl reload-or-restart nexus-stack.service || complain "the old server did not start either: journalctl -u nexus-stack"
	open_gate
	start_jobs
}

reload_stack() {
	systemctl reload nexus-stack.service || complain "the server did not start as it should: journalctl -u nexus-stack; docker logs nexus-postgres"
}

# The directory on this machine that holds a cluster a major version.
clusters() { docker volume inspect --format '{{.Mountpoint}}' nexus_postgres_data; }

healthy_memory() {
	systemctl is-active --quiet nexus-stack.service && [[ $(docker inspect --format '{{.State.Health.Status}}' nexus-postgres) == healthy ]]
}

# major_of IMAGE: fetched where it is not here.
major_of() {
	local said
	docker image inspect "$1" >/dev/null 2>&1 || docker pull --quiet "$1" >/dev/null || stop 69 "the image $1 is not here and could not be fetched"
	said=$(docker run --rm --network none --entrypoint postgres "$1" --version) || stop 65 "$1 has no program postgres"
	[[ $said =~ ^postgres\ \(PostgreSQL\)\ ([0-9]+) ]] || stop 65 "$1 says of itself: $said"
	printf '%s' "${BASH_REMATCH[1]}"
}

# A backup that is running began before anybody was kept from writing.
stop_jobs() { systemctl stop "${jobs_units[@]}" nexus-backup.service nexus-purge.service nexus-restore-test.service nexus-embed-backfill.service; }

# Those that are on; nexus.target would start others that a person has stopped.
start_jobs() {
	local unit
	for unit in "${jobs_units[@]}"; do
		if systemctl is-enabled --quiet "$unit"; then systemctl start "$unit" || complain "$unit did not start again: systemctl status $unit"; fi
	done
}

# A session that holds a lock on every table: others read, backups too, and whoever writes waits. It ends with this process or with
# the server, so that nothing of it is left whatever happens.
hold_writers() {
	local said answers
	coproc HOLDER { docker exec --interactive nexus-postgres psql -XAtq --set=ON_ERROR_STOP=1 --dbname="$(setting NEXUS_PG_DATABASE)" 2>&1; }
	holder=${HOLDER[1]} answers=${HOLDER[0]}
	cat >&"$holder" <<-'SQL'
		SET application_name = 'nexus-upgrade-postgres';
		BEGIN;
		SELECT format('LOCK TABLE %s IN SHARE MODE', string_agg(oid::regclass::text, ', '))
		FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace::regnamespace::text NOT LIKE 'pg\_%' AND relnamespace::regnamespace::text <> 'information_schema' \gexec
		SELECT 'held';
	SQL
	read -r -t 60 said <&"$answers" || said="no answer within a minute: somebody holds a table"
	[[ $said == held ]] || stop 69 "nobody could be kept from writing: $said"
}

release_writers() {
	if [[ -n $holder ]]; then exec {holder}>&-; fi
	holder=''
}

# From here on nobody new gets in but root, and whoever is in is put out while the lock still holds: nobody writes what is in no
# backup.
close_gate() {
	chmod 0700 "$gate"
	docker exec nexus-postgres psql -XAtq --dbname=postgres --command="SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
		WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND application_name <> 'nexus-upgrade-postgres'" >/dev/null
}

# The mode that tmpfiles.d/nexus.conf gives.
open_gate() { chmod 0755 "$gate"; }

# compose_with IMAGE MAJOR: the stack with these, whatever the settings say. The new server's empty cluster is meant.
compose_with() {
	local status=0
	allow_new_memory "$2"
	NEXUS_POSTGRES_IMAGE=$1 NEXUS_POSTGRES_MAJOR=$2 COMPOSE_FILE=$share/compose/docker-compose.yml:/etc/nexus/compose.override.yml \
		COMPOSE_ENV_FILES=$settings docker compose up --detach --wait || status=$?
	rm -f "$new_memory"
	return "$status"
}

# apply keeps the database that it replaced; this one was only made by migrate.sh, and nobody could get at it.
drop_what_migrate_made() {
	local kept
	while IFS= read -r kept; do
		if [[ -n $kept ]]; then nexus-restore drop-kept "$kept" --yes >/dev/null; fi
	done < <(docker exec nexus-postgres psql -XAtq --dbname=postgres --command="SELECT datname FROM pg_database WHERE datname LIKE '% before %'")
}

# switch_settings IMAGE MAJOR: the shipped image needs no setting. Both lines by one rename.
switch_settings() {
	local content image=$1
	if [[ $image == "$(shipped_postgres_image)" ]]; then image=''; fi
	content=$(sed -e "s|^NEXUS_POSTGRES_IMAGE=.*|NEXUS_POSTGRES_IMAGE=$image|" -e "s|^NEXUS_POSTGRES_MAJOR=.*|NEXUS_POSTGRES_MAJOR=$2|" "$settings")
	put "$settings" 0640 root:nexus <<<"$content"
}
