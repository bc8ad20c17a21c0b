#!/usr/bin/env bash
# Backs up and restores a PostgreSQL outside Compose, of this Debian's version, with the owner's commands (NEXUS_PG_DUMP,
# NEXUS_PG_DUMPALL, NEXUS_PG_RESTORE): onto the same server and onto a bare one, in UTF-8 and other encodings. Runs on any machine, in its
# own directory. If no server is installed, unpacks Debian's packages there.
# usage: outside-compose.sh [DIRECTORY WITH nexus-backup AND nexus-restore]
set -euo pipefail
shopt -s inherit_errexit
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR
. "$here/checks.sh"

installed=${NEXUS_TEST_POSTGRES:-/usr/lib/postgresql}
# Ignores settings for other servers.
unset "${!PG@}" "${!NEXUS_@}"

programs=$(cd "${1:-${CARGO_TARGET_DIR:-$here/../../target}/release}" && pwd)
work=$(mktemp -d)
chmod 755 "$work"
trap 'stop_server 1; stop_server 2; rm -rf "$work"' EXIT

# PostgreSQL does not run as root.
as_server() { if ((EUID == 0)); then setpriv --reuid=nobody --regid=nogroup --clear-groups "$@"; else "$@"; fi; }

# Sets postgres to the directory of the server's programs.
find_postgres() {
	local found=("$installed"/*/bin/initdb) packages
	if [[ ! -x ${found[-1]} ]]; then
		echo "unpacking Debian's postgresql below $work, because none is installed"
		as_root apt-get update -qq
		mapfile -t packages < <(apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances postgresql |
			grep -E '^(postgresql(-client)?-[0-9]+|libpq5|libllvm[0-9]+|libicu[0-9]+|libxml2[^ ]*|libxslt1.1)$')
		(cd "$work" && apt-get download -qq "${packages[@]}" && for package in *.deb; do dpkg -x "$package" root && rm "$package"; done)
		LD_LIBRARY_PATH=$work/root/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || echo "$(uname -m)-linux-gnu")
		export LD_LIBRARY_PATH
		found=("$work"/root/usr/lib/postgresql/*/bin/initdb)
	fi
	postgres=$(dirname "${found[-1]}")
}
as_root() { if ((EUID == 0)); then "$@"; else sudo -- "$@"; fi; }

# start_server NUMBER: starts a server with its socket in $work/NUMBER.
start_server() {
	install -d -m 755 "$work/$1"
	((EUID != 0)) || chown nobody:nogroup "$work/$1"
	as_server "$postgres/initdb" --pgdata="$work/$1/data" --username=postgres --auth=scram-sha-256 --pwfile="$work/postgres_password" --encoding=UTF8 --locale=C.UTF-8 >/dev/null
	as_server "$postgres/pg_ctl" --pgdata="$work/$1/data" --log="$work/$1/log" --wait --silent start \
		-o "-c listen_addresses= -c unix_socket_directories=$work/$1 -c fsync=off -c max_wal_size=4GB"
}
stop_server() { [[ ! -f $work/$1/data/postmaster.pid ]] || as_server "$postgres/pg_ctl" --pgdata="$work/$1/data" --mode=immediate --silent stop || true; }

# sql NUMBER ARGUMENT…: runs psql as the superuser.
sql() {
	local number=$1
	shift
	PGPASSFILE=$work/pgpass "$postgres/psql" -XAtq --set=ON_ERROR_STOP=1 --host="$work/$number" --username=postgres "$@"
}
definitions() { PGPASSFILE=$work/pgpass "$postgres/pg_dump" --schema-only --host="$work/$1" --username=postgres --dbname="$2" | grep -vE '^(-- |\\(un)?restrict)'; }
# nexus NUMBER PROGRAM ARGUMENT…: runs a helper with that server.
nexus() {
	local number=$1 program=$2
	shift 2
	env NEXUS_SETTINGS=/dev/null NEXUS_PG_HOST="$work/$number" NEXUS_CREDENTIALS="$work" NEXUS_BACKUP_DIR="$work/sets" NEXUS_BACKUP_REDIS=no \
		NEXUS_RECIPIENTS="$work/recipients.txt" NEXUS_PG_DUMP="$postgres/pg_dump" NEXUS_PG_DUMPALL="$postgres/pg_dumpall" \
		NEXUS_PG_RESTORE="$postgres/pg_restore" NEXUS_DOCKER_SOCKET=/none "$programs/$program" "$@"
}

torture_comes_back() {
	sql 1 --dbname=postgres --command='CREATE DATABASE torture'
	sql 1 --dbname=torture --file="$here/torture.sql" >/dev/null
	nexus 1 nexus-backup --pg-database=torture
	nexus 1 nexus-restore apply latest --into back --jobs 4
	same "the restored definitions" "$(definitions 1 back | md5sum)" "$(definitions 1 torture | md5sum)"
}
a_bare_server_gets_roles_and_all() {
	nexus 2 nexus-restore apply latest --pg-database torture >"$work/said"
	grep -q 'role torture_login was made without its password' "$work/said"
	# A policy's roles come in the order of their OIDs, which differ between servers.
	same "the restored definitions" "$(definitions 2 torture | grep -v '^CREATE POLICY' | md5sum)" "$(definitions 1 torture | grep -v '^CREATE POLICY' | md5sum)"
	same "members" "$(sql 2 --dbname=postgres --command="SELECT pg_has_role('torture_login', 'torture_reader', 'member')")" t
}
safety_backup_is_made_by_the_same_commands() {
	nexus 2 nexus-restore apply latest --pg-database torture --yes --json >"$work/done.json"
	grep -qF "\"safety_backup\": \"$(find "$work/sets" -maxdepth 1 -name '000002-*' -printf '%f')\"" "$work/done.json"
	nexus 2 nexus-restore undo --pg-database torture --yes >/dev/null
	nexus 2 nexus-restore drop-kept "$(sql 2 --dbname=postgres --command="SELECT datname FROM pg_database WHERE datname ~ ' undone '")" --pg-database torture --yes
}
# Names and texts in the database's encoding, which differs from ours.
other_encodings_come_back() {
	local encoding
	for encoding in LATIN1 EUC_JP SQL_ASCII; do
		sql 1 --dbname=postgres --command="CREATE DATABASE other TEMPLATE template0 ENCODING $encoding LOCALE 'C'"
		case $encoding in LATIN1) letters=größe ;; EUC_JP) letters=漢字 ;; *) letters=plain ;; esac
		PGCLIENTENCODING=UTF8 sql 1 --dbname=other --command="CREATE TABLE \"$letters\" (\"$letters\" text); INSERT INTO \"$letters\" VALUES ('$letters')" \
			--command="CREATE TYPE mood AS ENUM ('$letters'); CREATE TABLE as_text (\"$letters\" mood[]); INSERT INTO as_text VALUES (ARRAY['$letters'::mood])" \
			--command="COMMENT ON TABLE \"$letters\" IS '$letters'; CREATE SEQUENCE \"s $letters\""
		[[ $encoding != SQL_ASCII ]] || sql 1 --dbname=other --command="INSERT INTO plain VALUES (E'\\xff\\xfe')"
		nexus 1 nexus-backup --pg-database=other
		nexus 1 nexus-restore apply latest --into other_back
		same "the restored definitions in $encoding" "$(definitions 1 other_back)" "$(definitions 1 other)"
		sql 1 --dbname=postgres --command='DROP DATABASE other' --command='DROP DATABASE other_back'
	done
}
a_locale_that_is_missing_is_named() {
	local said status=0
	install -d "$work/stick"
	cp -r "$work"/sets/000001-* "$work/stick"
	cd "$work"/stick/000001-*
	age -d -i "$work/owner.key" manifest.json.age | sed -E 's/("collate": )"[^"]*"/\1"tlh_KX.UTF-8"/' | age -R "$work/recipients.txt" >"$work/new"
	cat "$work/new" >manifest.json.age
	find . -type f ! -name SHA256SUMS -printf '%P\n' | xargs sha256sum >"$work/sums"
	cat "$work/sums" >SHA256SUMS
	said=$(nexus 1 nexus-restore apply "$PWD" --into other_locale 2>&1) || status=$?
	same "the exit code ($said)" "$status" 73
	[[ $said == *'locale tlh_KX.UTF-8, which the server must have'* ]]
}

[[ -n $(type -P age) ]] || as_root apt-get install -y -qq age >/dev/null
find_postgres
head -c 20 /dev/urandom | base64 >"$work/postgres_password"
printf '*:*:*:*:%s\n' "$(<"$work/postgres_password")" >"$work/pgpass"
chmod 600 "$work/pgpass"
chmod 644 "$work/postgres_password"
age-keygen -o "$work/owner.key" 2>/dev/null
cp "$work/owner.key" "$work/machine_identity"
age-keygen -y "$work/owner.key" >"$work/recipients.txt"
install -d -m 700 "$work/sets"
start_server 1
start_server 2
echo "PostgreSQL $("$postgres/postgres" --version | grep -oE '[0-9]+\.[0-9]+' | head -n 1)"
check torture_comes_back
check a_bare_server_gets_roles_and_all
check safety_backup_is_made_by_the_same_commands
check other_encodings_come_back
check a_locale_that_is_missing_is_named
report
