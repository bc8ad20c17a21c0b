#!/usr/bin/env bash
# After every boot, however the last one ended, all servers become healthy without help. Runs inside an installed machine.
# usage: after-boot.sh TIMES     TIMES is the number of earlier runs on this machine; each run leaves a row
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

healthy_without_a_hand() { await 120 healthy; }
no_jobs() { [[ -z $(systemctl list-jobs --no-legend) ]]; }
system_runs() {
	await 60 systemctl is-active --quiet nexus-stack.service
	await 60 no_jobs
	same "the system's state" "$(systemctl is-system-running)" running
}
target_and_timer_are_up() {
	systemctl is-active --quiet nexus.target
	systemctl is-active --quiet nexus-backup.timer
	systemctl is-active --quiet nexus-docker.socket
}
times=$1
rows_are_there() { same "rows of earlier runs" "$(as_owner --command="SELECT count(*) FROM nexus_memory.zep_episodic_memory WHERE content = 'after a boot'")" "$times"; }
program_can_write() { as_program --command="INSERT INTO nexus_memory.zep_episodic_memory (content) VALUES ('after a boot')"; }
backup_works() { systemctl start nexus-backup; }

check healthy_without_a_hand
check system_runs
check target_and_timer_are_up
check rows_are_there
check program_can_write
check backup_works
report
