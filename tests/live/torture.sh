#!/usr/bin/env bash
# A database with everything that PostgreSQL can store, in the most awkward form, comes back bit for bit: by nexus-restore, and by stock
# tools alone. Runs inside an installed machine. PostgreSQL's own tools make every comparison.
set -euo pipefail
shopt -s inherit_errexit
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR
. "$here/checks.sh"
# shellcheck source-path=SCRIPTDIR
. "$here/sets.sh"

work=$(mktemp -d)
tortured="torture \"of\" it's, all"
over_socket() { psql -X --host=/run/nexus/postgres --username=postgres "$@"; }
export PGPASSFILE=$work/pgpass
cp /etc/nexus/credentials/postgres_pgpass "$PGPASSFILE"
chmod 600 "$PGPASSFILE"
# Prints `dbname=` for a conninfo, for a name with blanks and quotes.
conninfo_of() { printf "dbname='%s'" "${1//\'/\\\'}"; }
drop_all() {
	local database
	for database in "$tortured" back stock; do
		[[ -n $(over_socket -Atq --dbname=postgres --set=d="$database" <<<"SELECT 1 FROM pg_database WHERE datname = :'d'") ]] || continue
		# A database with a subscription cannot be dropped, nor can a subscription with a slot.
		over_socket -Atq --dbname="$(conninfo_of "$database")" <<-'SQL' >/dev/null
			SELECT format('ALTER SUBSCRIPTION %1$I DISABLE; ALTER SUBSCRIPTION %1$I SET (slot_name = NONE); DROP SUBSCRIPTION %1$I', subname)
			FROM pg_subscription s JOIN pg_database d ON d.oid = s.subdbid AND d.datname = current_database() \gexec
		SQL
		over_socket -q --dbname=postgres --set=d="$database" <<<'DROP DATABASE :"d" WITH (FORCE)'
	done
}
trap 'drop_all; rm -rf "$work"' EXIT

drop_all
over_socket -q --dbname=postgres --set=ON_ERROR_STOP=1 --set=d="$tortured" <<<'CREATE DATABASE :"d" TEMPLATE template0 ENCODING UTF8'
conninfo=$(conninfo_of "$tortured")
over_socket -q --dbname="$conninfo" --set=ON_ERROR_STOP=1 --file="$here/torture.sql" >/dev/null

# Prints pg_dump's text of a database, with rows and large objects. Leaves out the table into which a trigger writes at each login, because
# the backup's own sessions are in it. With event_triggers off, the sessions of this test are not.
export PGOPTIONS='-c event_triggers=off'
# A restore moves rows between partitions by the hash of an enum, so those are compared as one table.
everything() {
	pg_dump --host=/run/nexus/postgres --username=postgres --restrict-key=x --exclude-table-data=torture.log --exclude-table-data='torture.by_mood*' --dbname="$1" | sha256sum
	over_socket -Atq --dbname="$1" <<-'SQL'
		SELECT count(*), md5(string_agg(t::text, '' ORDER BY t::text)) FROM torture.by_mood t;
		SELECT count(*), md5(string_agg(t::text, '' ORDER BY t::text)) FROM torture.by_mood_deep t;
	SQL
}

torture_is_backed_up() { backup_of "$tortured" "$work/sets"; }

some_tables_go_as_text_and_some_binary() {
	local manifest
	manifest=$(age -d -i "$owner" "$work/sets/$(newest "$work/sets")/manifest.json.age")
	(($(jq '[.tables[] | select(.format == "text")] | length' <<<"$manifest") > 3))
	(($(jq '[.tables[] | select(.format == "binary")] | length' <<<"$manifest") > 10))
	(($(jq '[.tables[] | select(.bytes > 100000000)] | length' <<<"$manifest") > 0))
}

nexus_restore_brings_it_back() {
	nexus-restore apply "$work/sets/$(newest "$work/sets")" --into back --identity "$owner" --yes --json >"$work/done.json"
	same "the digest of pg_dump" "$(everything dbname=back)" "$(everything "$conninfo")"
	jq --raw-output '.notes[]' "$work/done.json" | found "^torture.people was restored with search_path '\$user', 'torture'"
}
# Otherwise the comparison above tests nothing.
rows_of_an_enums_hash_lie_elsewhere() {
	local where="SELECT md5(string_agg(tableoid::regclass || t::text, '' ORDER BY t::text)) FROM torture.by_mood t"
	[[ $(over_socket -Atq --dbname=back --command="$where") != "$(over_socket -Atq --dbname="$conninfo" --command="$where")" ]]
}

a_restore_test_proves_it() {
	install -d "$work/proofs"
	NEXUS_PROOFS_DIR=$work/proofs nexus-restore-test "$work/sets/$(newest "$work/sets")" --json >"$work/proof.json"
	same "the verdict" "$(jq .proven "$work/proof.json")" true
	same "partitions that were loaded through their root" "$(jq --compact-output '[.tables[] | select(.through) | .through] | unique' "$work/proof.json")" '["torture.by_mood","torture.by_mood_deep"]'
	(($(jq '.counts.policy + .counts.view + .counts.function + .counts.trigger' "$work/proof.json") > 5))
}

stock_tools_bring_it_back() {
	cd "$work/sets/$(newest "$work/sets")"
	export PGHOST=/run/nexus/postgres PGUSER=postgres
	age -d -i "$owner" restore.sh.age >"$work/restore.sh"
	bash "$work/restore.sh" "$owner" stock >"$work/stock.out"
	grep -q 'every one equal to the backup' "$work/stock.out"
	grep -q '^equal: torture.by_mood_deep, all partitions together$' "$work/stock.out"
	same "the digest of pg_dump" "$(everything dbname=stock)" "$(everything "$conninfo")"
}

# Prints the database's own properties, which pg_dump of its content leaves out.
settings_of() {
	over_socket -Atq --dbname=postgres --set=d="$1" <<-'SQL'
		SELECT coalesce(r.rolname, '-'), unnest(s.setconfig) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
		LEFT JOIN pg_roles r ON r.oid = s.setrole WHERE d.datname = :'d' ORDER BY 1, 2;
		SELECT pg_encoding_to_char(encoding), datlocprovider, datcollate, datctype, datlocale, datconnlimit,
		pg_get_userbyid(datdba), shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = :'d';
		SELECT a.grantee::regrole, a.privilege_type, a.is_grantable FROM pg_database, aclexplode(datacl) a WHERE datname = :'d' ORDER BY 1, 2;
	SQL
}
database_settings_come_back() {
	[[ $(settings_of "$tortured") == *Kathmandu* ]]
	same "settings of the restored database" "$(settings_of back)" "$(settings_of "$tortured")"
	same "settings by stock tools" "$(settings_of stock)" "$(settings_of "$tortured")"
}

check torture_is_backed_up
check some_tables_go_as_text_and_some_binary
check nexus_restore_brings_it_back
check rows_of_an_enums_hash_lie_elsewhere
check a_restore_test_proves_it
check stock_tools_bring_it_back
check database_settings_come_back
report
