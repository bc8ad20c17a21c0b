#!/usr/bin/env bash
# Tests nexus-health inside an installed machine: it repairs what is broken, reports each problem once, and survives faults of its own.
# All faults are real.
set -euo pipefail
shopt -s inherit_errexit
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source-path=SCRIPTDIR
. "$here/checks.sh"
# shellcheck source-path=SCRIPTDIR
. "$here/health/health.sh"
# shellcheck source-path=SCRIPTDIR
. "$here/health/mending.sh"
# shellcheck source-path=SCRIPTDIR
. "$here/health/kernel.sh"
# shellcheck source-path=SCRIPTDIR
. "$here/health/thresholds.sh"
# shellcheck source-path=SCRIPTDIR
. "$here/health/itself.sh"
# shellcheck source-path=SCRIPTDIR
. "$here/health/locks.sh"
# shellcheck source-path=SCRIPTDIR
. "$here/health/watching.sh"

work=$(mktemp -d)
trap put_back EXIT
keep_settings

# A channel for alerts, because its absence is a finding too.
setting NEXUS_ALERT_COMMAND=/bin/true
# ---- At the default interval
restart_health
check serves_again_after hang postgres 90

# ---- Faster from here on, and without the load of other programs on this machine
setting NEXUS_HEALTH_INTERVAL=1s NEXUS_HEAL_PER_HOUR=20 NEXUS_HEALTH_PRESSURE=off NEXUS_HEALTH_CPU=off
restart_health
check serves_again_after hang redis 90
check serves_again_after kill postgres 90
check serves_again_after kill redis 90
check docker_stopped_and_started
check the_socket_directory_is_made_again
leave_leftovers
check a_stack_that_is_down_is_started
check leftovers_are_swept
check what_a_person_stopped_stays_down
check labels_of_others_restart_nothing
check no_more_often_than_allowed
check nothing_is_repaired_with_healing_off

check other_databases_are_named
check a_refused_question_is_named_and_hides_no_other
check a_timer_that_waits_for_years_is_reported_and_restarted
check what_was_stopped_by_hand_is_named
check failed_stores_are_reported_within_a_minute
check another_program_on_our_port 127.0.0.1 127.0.0.1:8003 nexus-api.socket
check another_program_on_our_port ::1 '[::1]:8003' nexus-api-ipv6.socket
check a_socket_without_use_is_no_finding
check a_missing_sandbox_is_reported
check an_endless_start_is_reported
check a_missing_channel_is_reported
check dockers_own_directory_is_watched

check many_locks_of_others_do_no_harm
check locks_of_others_hide_no_failed_backup
check a_backup_that_runs_is_seen

check restarts_are_counted
check memory_runs_short
check evictions_are_counted
thresholds

check the_watchdog_ends_a_loop_that_hangs
check a_restart_repeats_no_alert
check its_files_cannot_be_written
check once_reports_by_its_exit_code
check the_metrics_pass_promtool
check the_catalog_explains_each_message
cat "$work/times"
report
