# Runs the work of nexus-upgrade-postgres in nexus-upgrade-postgres.service, which a closed terminal does not end. If an error or a
# signal ends the unit early, its ExecStopPost= undoes the unfinished work; after a power cut the next run does.
# shellcheck shell=bash disable=SC2154,SC2034 # what one part sets, another reads

unit=nexus-upgrade-postgres.service
# Holds TASK FROM TO while a task is unfinished.
note=$as_shipped/postgres-at-work
# Holds how the unit ended: exited|killed STATUS|SIGNAL.
ended=/run/nexus/upgrade-ended
# Units that must not run during the upgrade, and start again afterwards.
jobs_units=(nexus-backup.timer nexus-purge.timer nexus-restore-test.timer nexus-first-proof.timer nexus-embed-backfill.timer nexus-health.service)

refuse_running_upgrade() {
	case $(systemctl show --property=ActiveState --value "$unit") in
	active | activating | deactivating) stop 75 "an upgrade is already running: journalctl -fu nexus-upgrade-postgres shows its progress; systemctl stop nexus-upgrade-postgres undoes it" ;;
	failed) systemctl reset-failed "$unit" ;;
	esac
}

# run_as_unit ARGUMENT…: starts the unit, shows its messages until it ends, and exits with its status.
run_as_unit() {
	local cursor
	cursor=$(mktemp)
	# shellcheck disable=SC2064 # expand this path now
	trap "rm -f '$cursor'" EXIT
	# Remember where the journal ends now.
	journalctl --quiet --lines=1 --cursor-file="$cursor" >/dev/null
	rm -f "$ended"
	# No After=: units that are restarted while this one stops would wait for its end.
	systemd-run --quiet --unit="$unit" --service-type=exec --setenv=HOME=/root --property=Description='NEXUS: the next PostgreSQL' \
		--property="ExecStopPost=$prefix/sbin/$program --after-unit" --property=TimeoutStopSec=15min \
		--property=OnFailure=nexus-alert@nexus-upgrade-postgres.service --property=OnSuccess=nexus-alert-over@nexus-upgrade-postgres.service \
		"$prefix/sbin/$program" --in-unit "$@"
	trap stop_unit INT TERM
	# Ctrl-C also ends the commands that this shell waits for.
	while unit_runs; do
		show_journal "$cursor" || true
		sleep 1 || true
	done
	journalctl --sync
	show_journal "$cursor"
	end_as_unit
}

unit_runs() { [[ $(systemctl show --property=ActiveState --value "$unit") != @(inactive|failed) ]]; }

# show_journal CURSOR: prints the unit's messages since the cursor.
show_journal() { journalctl --quiet --output=cat --cursor-file="$1" _SYSTEMD_UNIT="$unit" | printable_lines; }

stop_unit() {
	complain "the unit stops and undoes its work, even if you close this terminal"
	systemctl stop --no-block "$unit"
}

# Exits as the unit did. ExecStopPost= has recorded that, because systemd counts a stopped unit as a success.
end_as_unit() {
	local how status
	[[ -s $ended ]] || stop 69 "the unit was killed: the next nexus-upgrade-postgres, or a boot, undoes its unfinished work"
	read -r how status <"$ended"
	if [[ $(systemctl show --property=ActiveState --value "$unit") == failed ]]; then systemctl reset-failed "$unit"; fi
	if [[ $how != exited ]]; then status=$((128 + $(kill -l "$status"))); fi
	exit "$status"
}

# Runs on EXIT of the unit's main process. If a signal ended it, systemd logs that.
explain_postgres() {
	local status=$?
	if ((status != 0)) && [[ -n $step ]]; then complain "stopped while $step; the cause is above"; fi
}

# record_task TASK FROM TO: records the task as unfinished.
record_task() { printf '%s %s %s\n' "$@" | put "$note" 0644 root:root; }

# Runs as ExecStopPost=.
after_unit() {
	printf '%s %s\n' "$EXIT_CODE" "$EXIT_STATUS" | put "$ended" 0644 root:root
	settle
}

# Cleans up after an unfinished task: starts the stack and its jobs according to the settings, and removes an unfinished cluster.
settle() {
	local task from to place
	if [[ ! -e $note && ! -L $note ]]; then return; fi
	# Root removes the cluster that it names.
	if is_roots_file "$note"; then read -r task from to <"$note"; fi
	[[ ${task-} =~ ^(upgrade|back)$ && ${from-} =~ $a_major && ${to-} =~ $a_major ]] ||
		stop 65 "$note names no unfinished task: see systemctl status nexus-stack; then remove that file"
	# If the owner has stopped NEXUS, or the machine shuts down, the next start follows the settings.
	if ! systemctl is-active --quiet nexus.target || [[ $(systemctl is-system-running) == stopping ]]; then return; fi
	rm -f "$new_memory"
	if [[ $task == upgrade && $(setting NEXUS_POSTGRES_MAJOR) == "$from" ]]; then
		complain "the previous PostgreSQL runs again, with every row"
	fi
	systemctl reload-or-restart nexus-stack.service || {
		start_jobs
		stop 69 "PostgreSQL did not start: journalctl -u nexus-stack; docker logs nexus-postgres"
	}
	place=$(clusters)
	if [[ $task == upgrade && $(setting NEXUS_POSTGRES_MAJOR) == "$from" ]]; then rm -rf --one-file-system -- "${place:?}/${to:?}"; fi
	remove_dumps
	start_jobs
	rm -f "$note"
}

# Stops a running backup too, because it began while programs could write.
stop_jobs() { systemctl stop "${jobs_units[@]}" nexus-backup.service nexus-purge.service nexus-restore-test.service nexus-embed-backfill.service; }

# Starts only the enabled units; nexus.target would also start those that the owner has stopped.
start_jobs() {
	local unit
	for unit in "${jobs_units[@]}"; do
		if systemctl is-enabled --quiet "$unit"; then systemctl start "$unit" || complain "$unit did not start again: systemctl status $unit"; fi
	done
}
