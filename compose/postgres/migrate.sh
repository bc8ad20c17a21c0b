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
	PGOPTIONS='-c client_min_messages=warning -c lock_timeout=10min' psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 "$@"
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
	run --dbname="$connection" --file="$file"
done

# \password hashes the password in psql: the server, its log and its statistics never see it. It asks twice,
# and reads standard input if there is no terminal.
for role in nexus_app nexus_embed; do
	password=$(<"/run/secrets/${role}_password")
	printf '%s\n%s\n' "$password" "$password" | run --dbname=postgres --command="\password $role" 2>/dev/null >/dev/null || {
		echo "nexus: setting the password of the role $role failed; see /etc/nexus/credentials/${role}_password" >&2
		exit 1
	}
done
