#!/usr/bin/env bash
# Runs every job under timeouts that the owner may have set: in postgresql.conf, for the database, for the role. Runs inside an installed
# machine. Delays each job beyond the timeouts, so that the machine's speed does not matter.
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/sets.sh"

work=$(mktemp -d)
local_conf=/etc/nexus/postgres/local.conf
cp -a "$local_conf" "$work/local.conf"
trap 'pardon; rm -rf "$work"' EXIT

timeouts=(statement_timeout=500ms lock_timeout=300ms idle_in_transaction_session_timeout=300ms idle_session_timeout=300ms transaction_timeout=500ms)

# hostile WAY: sets the timeouts there.
hostile() {
	local timeout
	for timeout in "${timeouts[@]}"; do
		case $1 in
		file) printf "%s = '%s'\n" "${timeout%=*}" "${timeout#*=}" >>"$local_conf" ;;
		database) as_owner --command="ALTER DATABASE nexus SET ${timeout%=*} = '${timeout#*=}'" ;;
		role) as_owner --command="ALTER ROLE postgres SET ${timeout%=*} = '${timeout#*=}'" ;;
		esac
	done
	[[ $1 != file ]] || as_owner --command='SELECT pg_reload_conf()' >/dev/null
	await 10 ends_a_session
}
ends_a_session() { ! as_owner --command='SELECT pg_sleep(2)'; }

pardon() {
	local timeout
	cp -a "$work/local.conf" "$local_conf"
	for timeout in "${timeouts[@]}"; do
		as_owner --command="ALTER DATABASE nexus RESET ${timeout%=*}" --command="ALTER ROLE postgres RESET ${timeout%=*}"
	done
	as_owner --command='SELECT pg_reload_conf()' >/dev/null
}

# A tool that starts a second late.
late() {
	printf '#!/bin/sh\nsleep 1\nexec %s "$@"\n' "$1" >"$work/late-$1"
	chmod 755 "$work/late-$1"
}

# Each job must succeed in spite of the timeouts.
jobs_do_their_work() {
	local way=$1 directory=$work/$1 before
	as_owner --command='DROP DATABASE IF EXISTS timeouts_back'
	late pg_dump
	late pg_restore
	as_owner --command="INSERT INTO nexus_memory.zep_episodic_memory (content, tags, \"timestamp\")
		SELECT 'timeouts: ' || i, '{timeouts}', now() - interval '100 days' FROM generate_series(1, 3000) i"
	before=$(contents nexus)
	hostile "$way"
	backup_of nexus "$directory" --pg-dump="$work/late-pg_dump"
	NEXUS_PG_RESTORE=$work/late-pg_restore nexus-restore apply "$directory/$(newest "$directory")" --into timeouts_back --identity "$owner" --yes
	systemctl start nexus-backup
	systemctl start nexus-restore-test
	nexus-purge --tag timeouts --yes
	pardon
	# The restored database has the timeouts of the set, which would end the comparison too.
	as_owner --command='ALTER DATABASE timeouts_back RESET ALL'
	same "the restored tables" "$(contents timeouts_back)" "$before"
	same "rows that should have gone" "$(as_owner --command="SELECT count(*) FROM nexus_memory.zep_episodic_memory WHERE 'timeouts' = ANY (tags)")" 0
	docker exec nexus-postgres dropdb timeouts_back
}

# A backfill succeeds, with and without work.
backfill_does_its_work() {
	local way
	for way in file database role; do
		hostile "$way"
		nexus-embed --check >/dev/null || [[ $? == 65 ]]
		systemctl start nexus-embed-backfill
		pardon
	done
}

check jobs_do_their_work file
check jobs_do_their_work database
check jobs_do_their_work role
if compgen -G '/var/lib/nexus/models/*' >/dev/null; then check backfill_does_its_work; fi
report
