# Faults of nexus-health itself, and the readers of its files.
# shellcheck shell=bash disable=SC2154 # work and here are the caller's

# The shipped watchdog waits a minute. The loop notifies it every ten seconds, so a third of that time tests the same.
the_watchdog_ends_a_loop_that_hangs() {
	local pid drop_in=/run/systemd/system/nexus-health.service.d/watchdog.conf
	same "its watchdog" "$(systemctl show --property=WatchdogUSec --value nexus-health)" 1min
	install -D --mode=644 /dev/stdin "$drop_in" <<<$'[Service]\nWatchdogSec=20'
	systemctl daemon-reload
	restart_health
	pid=$(systemctl show --property=MainPID --value nexus-health)
	kill -STOP "$pid"
	await 120 another_than "$pid"
	await 30 systemctl is-active --quiet nexus-health
	rm "$drop_in"
	systemctl daemon-reload
}
another_than() {
	local now
	now=$(systemctl show --property=MainPID --value nexus-health)
	[[ $now != 0 && $now != "$1" ]]
}

a_restart_repeats_no_alert() {
	local before
	setting NEXUS_HEALTH_DISK=0%:100%
	restart_health
	await 120 is_level disk-root warning
	before=$(</run/nexus/health/problems.json)
	from_here
	pkill -KILL --exact nexus-health
	await 20 systemctl is-active --quiet nexus-health
	await 120 newer_than "$(date +%s)"
	same "repeated alerts" "$(reported disk-root)" ""
	same "the list of problems" "$(</run/nexus/health/problems.json)" "$before"
	setting NEXUS_HEALTH_DISK=85%:99%
	restart_health
	await 120 is_level disk-root ok
}
newer_than() { (($(stat --format=%Y "$health") > $1)); }

its_files_cannot_be_written() {
	from_here
	# A non-empty directory in place of the file.
	rm /var/lib/nexus/metrics/nexus.prom
	install -d -o nexus -g nexus /var/lib/nexus/metrics/nexus.prom/x
	await 120 said 'nexus.prom'
	newer_than_now
	systemctl show --property=StatusText nexus-health | found 'cannot be written'
	rm -rf /var/lib/nexus/metrics/nexus.prom
	await 20 test -f /var/lib/nexus/metrics/nexus.prom
	same "number of messages" "$(said_since | grep -c 'nexus.prom')" 1
}
said() { said_since | found "$1"; }
newer_than_now() { await 120 newer_than "$(date +%s)"; }

once_reports_by_its_exit_code() {
	local status=0
	setting NEXUS_HEALTH_MEMORY=off NEXUS_HEALTH_DISK=off NEXUS_HEALTH_INODES=off NEXUS_HEALTH_CLOCK=off NEXUS_HEALTH_BACKUP_AGE=off NEXUS_HEALTH_PROOF_AGE=off
	nexus-health --once >"$work/table" || status=$?
	grep -q '^ok ' "$work/table"
	same "exit code and level" "$status $(tail -n 1 "$work/table" | grep -oE 'ok|warning|critical|unknown' | head -n 1)" "0 ok"
	setting NEXUS_HEALTH_DISK=0%:100%
	status=0
	nexus-health --once >/dev/null || status=$?
	same "exit code of a warning" "$status" 1
	setting NEXUS_HEALTH_DISK=0%:0%
	status=0
	nexus-health --json >"$work/json" || status=$?
	same "exit code and level" "$status $(jq --raw-output '.version, .level' "$work/json" | paste -sd' ')" "2 1 critical"
	# The default.
	setting NEXUS_HEALTH_DISK=85%:99%
}

the_metrics_pass_promtool() {
	promtool check metrics </var/lib/nexus/metrics/nexus.prom
	same "its last line" "$(tail -n 1 /var/lib/nexus/metrics/nexus.prom)" "# EOF"
	# Users outside of the group nexus can read the metrics.
	runuser --user nobody -- cat /var/lib/nexus/metrics/nexus.prom | found '^nexus_health_level '
}

the_catalog_explains_each_message() {
	local id
	for id in 0 1 2 3 4 5 6; do
		journalctl --dump-catalog "5f1d5c5e0e8a4f6b9a3d7c0b1e2f4a9$id" | found '^Defined-By: NEXUS'
	done
}
