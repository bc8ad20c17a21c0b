#!/usr/bin/env bash
# shellcheck source-path=SCRIPTDIR
# Tests the package in a fresh machine with its dependencies and without NEXUS: apt, nexus-setup, a proven backup; an upgrade while a
# client stores, and back; removal, purge, nothing left; and the next major version of PostgreSQL.
# usage: package.sh DEB [NEXT-DEB OLD-POSTGRES]     the package of the next version, a tar of an older PostgreSQL's image; without
#        them, tests only installation, work and removal
set -euo pipefail
shopt -s inherit_errexit
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$here/checks.sh"
. "$here/traces.sh"
. "$here/package/load.sh"
. "$here/package/comes.sh"
. "$here/package/upgraded.sh"
. "$here/package/goes.sh"
. "$here/package/postgres.sh"

deb=$1 next=${2-} old_postgres=${3-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Descriptor 3 is for figures, because a check's other output is the reason of its failure.
exec 3>&1
age-keygen -o "$work/owner.txt" 2>/dev/null
# The next version's image is the same one under another name.
docker tag pgvector/pgvector:0.8.7-pg18-trixie pgvector/pgvector:0.8.99-pg18-trixie
note_traces "$work/traces"

began=$SECONDS
check comes_with_apt
check set_up_with_few_answers
check first_set_is_proven
check units_are_verified
check setup_again_changes_nothing
check signals_are_an_end
check wrong_words
if [[ -z $next ]]; then
	echo 'nexus nexus/purge-backups boolean true' | debconf-set-selections
	check purge_of_all_leaves_nothing
	report
	exit
fi
check install_sh_refuses_beside_the_package
check upgraded_while_storing
check backed_up_first
check old_programs_are_gone
check way_back
check way_back_of_the_memory
check no_odd_settings
check no_backup_no_upgrade
check next_postgres_waits_for_a_word
check no_empty_memory_by_mistake
check removed_and_taken_up_again
check purge_keeps_backups
check kept_backups_are_found
check purge_of_all_leaves_nothing
check purge_keeps_sets_however_spelled
check purge_keeps_sets_that_were_moved
check purge_is_not_misled_by_a_line_feed
check purge_prints_no_control_characters
check purge_follows_no_link
check account_of_anothers
check from_the_former_project_and_back
check purge_of_all_leaves_nothing
check memory_of_old_postgres
check stopped_while_a_cluster_is_made
check refused_upgrades
check superuser_writes_meanwhile
check stack_started_meanwhile "$backup_runs"
check stack_started_meanwhile "$new_server_runs"
check stopped_by ctrl-c "$backup_runs"
check stopped_by KILL "$new_server_runs"
check hung_up "$new_server_runs"
# The other moments and signals; each takes half a minute.
if [[ -n ${NEXUS_TEST_LONG-} ]]; then
	check stopped_by ctrl-c "$new_server_runs"
	check stopped_by TERM "$new_server_runs"
	check stopped_by systemctl "$backup_runs"
	check hung_up "$backup_runs"
fi
check more_in_the_server
check links_in_a_cluster_lead_root_nowhere
check postgres_upgraded_while_storing
check the_rest_of_the_server_was_carried
check after_a_boot_too
check old_sets_restore
check back_and_forth
check purge_of_all_leaves_nothing
report
