#!/usr/bin/env bash
# Databases of other projects come back without a difference in pg_dump's text: PostgreSQL's own regression database, and the schemas of
# other projects. Runs inside an installed machine: schemas.sh DIRECTORY, which has regress/ of PostgreSQL's source and PROJECT/*.sql
# (tests/run.d/schemas.sh fetches them), besides those of tests/live/schemas/.
set -euo pipefail
shopt -s inherit_errexit
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source-path=SCRIPTDIR
. "$here/checks.sh"
# shellcheck source-path=SCRIPTDIR
. "$here/sets.sh"

fetched=$1
work=$(mktemp -d)
# A directory that the server sees too, under the second path.
shared=$(docker volume inspect --format '{{.Mountpoint}}' "$(docker inspect --format '{{range .Mounts}}{{.Name}} {{end}}' nexus-postgres | xargs -n 1 | head -n 1)")/schemas
inside=/var/lib/postgresql/schemas
psql_inside() { docker exec -i --env=PG_ABS_SRCDIR="$inside/regress" --env=PG_LIBDIR=/none --env=PG_DLSUFFIX=.so --env=PGTZ=America/Los_Angeles --env=PGDATESTYLE='Postgres, MDY' nexus-postgres psql -Xq "$@"; }
drop_all() { for database in made back stock; do docker exec nexus-postgres dropdb --force --if-exists "$database"; done; }
trap 'drop_all 2>/dev/null; rm -rf "$work" "$shared"' EXIT
rm -rf "$shared"
cp -r "$fetched" "$shared"
cp -r "$here"/schemas/* "$shared"
chmod -R a+rX "$shared"

text_of() { docker exec nexus-postgres pg_dump --restrict-key=x --dbname="$1"; }

# The text must be the same as before, or the same as PostgreSQL's own tools restore.
comes_back() {
	text_of made >"$work/made"
	rm -rf "$work/sets"
	backup_of made "$work/sets"
	nexus-restore apply "$work/sets/$(newest "$work/sets")" --into back --identity "$owner" --yes >/dev/null
	text_of back >"$work/back"
	cmp --quiet "$work/made" "$work/back" && return
	docker exec nexus-postgres createdb --template=template0 stock
	docker exec nexus-postgres sh -c 'pg_dump --format=custom made | pg_restore --dbname=stock' || true
	text_of stock >"$work/stock"
	diff "$work/stock" "$work/back" >"$work/difference" || { head -n 20 "$work/difference" >&2 && return 1; }
}

# The regression tests leave a database with objects of every kind. Ignores their results, and skips what needs their C library.
regression_database_comes_back() {
	local name names count
	drop_all 2>/dev/null
	docker exec nexus-postgres createdb --template=template0 --lc-collate=C --lc-ctype=C made
	psql_inside --dbname=made --command="ALTER DATABASE made SET lc_messages TO 'C'" --command="ALTER DATABASE made SET bytea_output TO 'hex'" --command="ALTER DATABASE made SET timezone_abbreviations TO 'Default'"
	# Leaves out tests of the whole server.
	mapfile -t names < <(sed -n 's/^test: //p' "$shared/regress/parallel_schedule" | xargs -n 1)
	for name in "${names[@]}"; do
		case $name in tablespace | stats | database | create_role | roleattributes | subscription) continue ;; esac
		psql_inside --dbname=made --file="$inside/regress/sql/$name.sql" >/dev/null 2>&1 || true
	done
	count=$(psql_inside -At --dbname=made --command="SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'S') AND relnamespace >= 16384 OR relnamespace = 'public'::regnamespace")
	((count > 500)) || { echo "only $count tables and views were made" >&2 && return 1; }
	comes_back
	# Roles belong to the whole server.
	psql_inside -At --dbname=postgres --command='DROP DATABASE made WITH (FORCE)' --command='DROP DATABASE back WITH (FORCE)' --command='DROP DATABASE IF EXISTS stock WITH (FORCE)'
	psql_inside -At --dbname=postgres --command="SELECT 'DROP ROLE ' || quote_ident(rolname) FROM pg_roles WHERE rolname ~ '^regress'" | psql_inside --dbname=postgres >/dev/null 2>&1 || true
}

schema_comes_back() {
	local file
	drop_all 2>/dev/null
	docker exec nexus-postgres createdb --template=template0 made
	for file in "$shared/$1"/*.sql; do psql_inside --dbname=made --set=ON_ERROR_STOP=1 --file="$inside/$1/${file##*/}" >/dev/null; done
	(($(psql_inside -At --dbname=made --command="SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace >= 2200 AND relnamespace::regnamespace::text !~ '^(pg_|information_schema)'") > 3))
	comes_back
}

# All projects, or the given one.
for project in ${2:-$(cd "$shared" && ls)}; do
	if [[ $project == regress ]]; then check regression_database_comes_back; else check schema_comes_back "$project"; fi
done
report
