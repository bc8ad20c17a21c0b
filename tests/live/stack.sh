#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# Tests the servers under systemd, inside an installed machine: who can reach them, which rows each role sees, and that they recover from
# every fault. Takes about a minute, and breaks things on purpose: do not run it on a machine in use.
set -euo pipefail
shopt -s inherit_errexit
here=$(dirname "${BASH_SOURCE[0]}")
. "$here/checks.sh"
. "$here/stack/access.sh"
. "$here/stack/database.sh"
. "$here/stack/recovery.sh"

# shellcheck disable=SC2034 # for the parts
episodes=nexus_memory.zep_episodic_memory

check system_runs
check no_port
check outside_the_group
check inside_the_group
check containers_are_confined
check agents_see_their_own
check program_cannot_get_round
check a_program_delays_neither_start_nor_restore
check no_text_in_a_log
check many_rows
check searches_use_their_index
check nearest_of_ones_own
check words_of_two_languages
check migrating_again_changes_nothing
check redis_keeps_what_has_no_end
check stop_and_start
check kill_containers
check kill_docker
check upgrade_docker
check redis_lives_with_zeros_at_the_end_of_its_log
check redis_lives_with_half_a_command
check the_memory_works_without_redis
check no_secret_shows
check tidy_up
check system_runs
report
