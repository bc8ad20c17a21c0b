# Starts NEXUS: units, servers, the first backup; then says what to do next.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

start_services() {
	systemctl daemon-reload
	note_volumes
	enable_units
	if systemctl is-active --quiet nexus-stack.service; then
		# An upgrade replaces only the containers whose definition has changed.
		wait_for_unit 35 reload nexus-stack.service || explain_stack
	else
		say "the first start fetches the images, which may take minutes"
		wait_for_unit 35 start nexus-stack.service || explain_stack
	fi
	reload_redis
	# Run the new programs with the new settings; their sockets queue requests meanwhile.
	systemctl try-restart nexus-api.service nexus-health.service
	restart_embedding
	wait_for_unit 35 start nexus.target
	reload_postgres
	switch_metrics
	switch_remote
	note_volumes
}

# Follows NEXUS_METRICS. The memory does not need the metrics, so this reports a failure and goes on.
switch_metrics() {
	local order=stop
	if [[ $(setting NEXUS_METRICS) == on ]]; then order=reload-or-restart; fi
	wait_for_unit 35 "$order" nexus-metrics.service || {
		journalctl --unit=nexus-metrics.service --lines=10 --no-pager --output=cat | quoted
		complain "the metrics did not start (above); systemd tries again every five minutes: systemctl status nexus-metrics"
	}
}

# Enables each unit only once, so that a unit that the owner disables stays disabled.
enable_units() {
	local done_before=$as_shipped/enabled-units unit units_to_enable=()
	touch "$done_before"
	while read -r _ unit; do
		if [[ -e $units/$unit ]] && ! grep -qx "$unit" "$done_before"; then units_to_enable+=("$unit"); fi
	done < <(grep -h '^enable ' "$preset")
	((${#units_to_enable[@]})) || return 0
	systemctl enable --quiet "${units_to_enable[@]}"
	printf '%s\n' "${units_to_enable[@]}" >>"$done_before"
}

explain_stack() {
	local container
	journalctl --unit=nexus-stack.service --lines=15 --no-pager --output=cat | quoted
	for container in nexus-postgres nexus-redis; do
		if [[ $(docker inspect --format '{{with .State.Health}}{{.Status}}{{end}}' "$container" 2>/dev/null) != healthy ]]; then
			complain "$container is not healthy; its last lines:"
			docker logs --tail 5 "$container" 2>&1 | quoted || true
		fi
	done
	stop 69 "the servers did not start: the last lines of their unit are above; more in \`journalctl -u nexus-stack\` and \`docker logs nexus-postgres\`"
}

# Applies a changed postgresql.conf, except settings that need a restart.
reload_postgres() {
	local pending
	guarded timeout 60 docker exec --env PGOPTIONS="-c search_path=pg_catalog -c role=none" nexus-postgres psql -XAtq -d postgres -c 'SELECT pg_reload_conf()' >/dev/null
	pending=$(guarded timeout 60 docker exec --env PGOPTIONS="-c search_path=pg_catalog -c role=none" nexus-postgres psql -XAtq -d postgres -c "SELECT string_agg(name, ', ') FROM pg_settings WHERE pending_restart")
	[[ -z $pending ]] || say "changed in postgresql.conf, and applied by \`systemctl restart nexus-stack\`: $pending"
}

# Redis reads its ACL file only when it starts, and its container keeps the file that it was started with.
reload_redis() {
	if [[ $(timeout 60 docker exec nexus-redis cat /run/secrets/redis_acl) == "$(<"$keys/redis_acl")" ]]; then return; fi
	say "restarting Redis, because its users have changed"
	timeout 120 docker restart nexus-redis >/dev/null
	wait_for_unit 35 reload nexus-stack.service || explain_stack
}

take_first_backup() {
	local place sets
	place=$(setting NEXUS_BACKUP_DIR)
	sets=$(find "$place" -mindepth 1 -maxdepth 1 -type d -name '[0-9]*-*Z')
	if [[ -n $sets ]]; then
		say "there are backups in $place already; nexus-backup.timer makes the next one"
		return
	fi
	wait_for_unit 720 start nexus-backup.service || {
		journalctl --unit=nexus-backup.service --lines=15 --no-pager --output=cat | quoted
		stop 74 "the first backup failed: its last lines are above. The servers run. Correct the cause, then: systemctl start nexus-backup"
	}
}

print_next_steps() {
	local place
	place=$(setting NEXUS_BACKUP_DIR)
	cat <<-TEXT

		NEXUS runs, and starts at every boot. What to do next, as root or with sudo:
		1. Use it:            curl -s 127.0.0.1:8003/health     every call: $prefix/share/doc/nexus/CHEATSHEET.md
		   by SQL:            usermod -aG $jobs_user USER; host=$(setting NEXUS_PG_HOST) dbname=$(setting NEXUS_PG_DATABASE) user=nexus_app, password in $keys/nexus_app_password
		2. A backup now:      systemctl start nexus-backup     what there is: nexus-restore list
		3. Look at it:        systemctl list-timers 'nexus-*'; journalctl -u 'nexus-*'; systemctl status nexus.slice
		4. Change a setting:  edit $settings, then systemctl reload nexus-stack
		5. Get alerts:        set NEXUS_ALERT_… in $settings, then nexus-alert --test
		6. Copy $place to another machine now and then, and keep the owner's identity on neither.
		7. Read about it:     man nexus, man nexus.env, man nexus-restore
	TEXT
}
