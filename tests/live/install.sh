#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# Tests install.sh in a fresh machine with Docker and without NEXUS: what it refuses, what a broken run leaves, that a second run changes
# nothing, what an upgrade keeps, and what a removal removes. Needs the helpers in bin/ beside install.sh. Ends with NEXUS purged.
set -euo pipefail
shopt -s inherit_errexit
here=$(dirname "${BASH_SOURCE[0]}")
. "$here/checks.sh"
. "$here/traces.sh"
. "$here/install/refused.sh"
. "$here/install/broken.sh"
. "$here/install/kept.sh"
. "$here/install/odd-lines.sh"
. "$here/install/port.sh"
. "$here/install/others.sh"
. "$here/install/removed.sh"

clone=$(cd "$here/../.." && pwd)
owner=/root/owner-of-the-test.txt
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

install_now() { "$clone/install.sh" --bin-dir "${bin:-$clone/bin}" --yes --owner-identity "$owner"; }

note_traces "$work/traces"
check wrong_usage
check check_names_what_is_missing
check check_tries_a_unit
check check_asks_docker_for_its_place
check check_names_a_login_helper_that_is_gone
check packagers_get_files
check strangers_port_stops_an_installation
check strangers_port_is_named_to_anyone
check owners_of_other_kinds_are_refused
check owners_of_other_users_are_refused
check not_without_root
check person_with_sudo
check failures_can_be_repeated
check one_at_a_time
check sizes_fit_the_machine
check secrets_are_closed
check again_changes_nothing
check legal_lines_are_read_alike
check odd_lines_are_read_differently
check odd_lines_are_refused
check windows_lines_are_read
check other_recipients_are_named
check a_short_token_is_named
check a_strangers_port_is_reported_at_the_end
check strangers_port_that_is_bound_only
check strangers_on_other_addresses_do_no_harm
check a_user_who_may_be_no_root_is_read_again
check own_programs_are_asked
check the_client_uses_the_socket_where_it_may
check put_back_as_roots
check a_server_that_fails
check waiting_ends
check an_upgrade_keeps_the_owners_changes
check upgrade_gives_the_api_a_user_of_redis
check upgrade_takes_the_scripts_from_the_api
check backups_may_be_elsewhere
check removed_and_taken_up_again
check volume_without_its_password
check purge_asks
check purge
check another_project_called_nexus
check labels_of_others_remove_no_container
check container_of_anothers
check volume_of_anothers
check metrics_of_anothers
check another_docker_context
check account_of_anothers
check another_account_for_the_jobs
check accounts_that_stay
check shown_once_on_a_terminal
check cut_short
check first_start_cut_short
check purge
report
