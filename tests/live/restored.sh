# For tests of restores, inside an installed machine: the server, its databases, and what a refusal must not change.
# shellcheck shell=bash

# Runs psql as the superuser, in the database postgres unless --dbname= names another.
server() { docker exec -i nexus-postgres psql -XAtq --set=ON_ERROR_STOP=1 "$@"; }

# databases_of NAME: prints the databases whose names begin with NAME.
databases_of() { server --command="SELECT datname FROM pg_database WHERE starts_with(datname, '$1') ORDER BY 1"; }

# Drops them all.
drop_databases() {
	local name
	while read -r name; do
		[[ -z $name ]] || docker exec nexus-postgres dropdb --force "$name"
	done < <(databases_of "$1")
}
# Drops them, and the roles of the tests.
drop_all() {
	drop_databases "$1"
	server --command='DROP ROLE IF EXISTS restore_login, restore_group' 2>/dev/null
}

# Prints a database's own properties. Sorts the settings, because their order has no meaning.
properties() {
	server --command="SELECT pg_get_userbyid(datdba), encoding, datcollate, datctype, datlocprovider, datlocale, datconnlimit, shobj_description(d.oid, 'pg_database'),
		(SELECT array_agg(a::text ORDER BY a::text) FROM unnest(datacl) a), (SELECT array_agg(s.setrole || c ORDER BY s.setrole || c) FROM pg_db_role_setting s, unnest(setconfig) c WHERE s.setdatabase = d.oid)
		FROM pg_database d WHERE datname = '$1'"
}

# refused CODE WORDS COMMAND…: checks the exit code, one line on standard error with WORDS, and unchanged databases and roles.
refused() {
	local code=$1 words=$2 before said status=0
	shift 2
	before=$(all_names)
	said=$("$@" 2>&1 >/dev/null </dev/null) || status=$?
	same "the exit code of $* ($said)" "$status" "$code"
	same "lines said ($said)" "$(wc -l <<<"$said")" 1
	[[ $said == *"$words"* ]] || {
		printf '"%s" does not say "%s"\n' "$said" "$words" >&2
		return 1
	}
	same "databases and roles" "$(all_names)" "$before"
	await 10 no_restore_runs
}
all_names() { server --command='SELECT datname FROM pg_database UNION ALL SELECT rolname FROM pg_roles ORDER BY 1'; }

# Whether no process and no session of a restore is left.
no_restore_runs() {
	! pgrep -x nexus-restore >/dev/null &&
		[[ -z $(server --command="SELECT 1 FROM pg_stat_activity WHERE application_name ~ 'pg_restore|nexus-restore'") ]]
}
