#!/usr/bin/env bash
# Upgrades the NEXUS database to this version. nexus-stack.service runs it inside the container at each start; a second
# run changes nothing. It applies the files in init/ in the order of their names. Each is one transaction, and the numbered ones
# record themselves in nexus_memory.migrations.
set -euo pipefail
umask 077
here=$(dirname "${BASH_SOURCE[0]}")
database=${NEXUS_PG_DATABASE:-nexus}

run() {
	# A program may hold locks on tables and on its own role: psql reports that before systemd ends the start.
	# Without its search_path, a role could put functions in the place of the server's, and this superuser would call them.
	PGOPTIONS="-c client_min_messages=warning -c search_path=pg_catalog -c role=none -c lock_timeout=${patience-10min}" \
		psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 "$@"
}

# Prints the sessions whose transactions have changed something and are still open: one of them may be in the way. A role's name may
# have any character: replaces line ends, which would fake a message of ours in the journal, and what would control a terminal.
open_transactions() {
	run --dbname=postgres --tuples-only --no-align <<-'SQL'
		SELECT pg_catalog.format('nexus: server process %s of role %s has had a transaction open for %s; to end it: SELECT pg_terminate_backend(%1$s)',
			pid,
			pg_catalog.quote_ident(pg_catalog.regexp_replace(usename, '[[:cntrl:]\u0080-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]', '?', 'g')),
			pg_catalog.date_trunc('second', pg_catalog.clock_timestamp() - xact_start))
		FROM pg_catalog.pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_catalog.pg_backend_pid() ORDER BY xact_start LIMIT 5
	SQL
}

run --dbname=postgres --set=database="$database" <<'SQL'
SELECT NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') AS missing \gset
\if :missing
	CREATE DATABASE :"database";
\endif
SQL

# A name may contain any character; with an equals sign, psql would read it as a connection string.
quoted=${database//\\/\\\\}
connection="dbname='${quoted//\'/\\\'}'"
for file in "$here"/init/*.sql; do
	run --dbname="$connection" --file="$file" || {
		open_transactions >&2
		exit 1
	}
done

# \password hashes the password in psql: the server, its log and its statistics never see it. It asks twice,
# and reads standard input if there is no terminal. A role that has its password keeps it, because setting it waits as in 0001-role.sql.
for role in nexus_app nexus_embed; do
	password=$(<"/run/secrets/${role}_password")
	if printf '%s\n' "$password" | run --dbname="$connection" --username="$role" --password --command='SELECT' >/dev/null 2>&1; then continue; fi
	printf '%s\n%s\n' "$password" "$password" | patience=30s run --dbname=postgres --command="\password $role" 2>/dev/null >/dev/null || {
		open_transactions >&2
		echo "nexus: setting the password of the role $role failed; see /etc/nexus/credentials/${role}_password" >&2
		exit 1
	}
done
