#!/usr/bin/env bash
# nexus-backup names what a set lacks, and the set is otherwise complete: an unreadable Redis, other databases, settings of the server
# and of roles, functions that a restore cannot call. Runs inside an installed machine.
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/sets.sh"

work=$(mktemp -d)
trap 'docker start nexus-redis >/dev/null; for left in notes others names names_back without_redis; do docker exec nexus-postgres dropdb --if-exists "$left" 2>/dev/null; done; rm -rf "$work"' EXIT

# with_redis DIRECTORY [OPTION…]: like backup_of, with Redis as in the machine's settings.
with_redis() {
	local directory=$1
	shift
	install -d -m 700 "$directory"
	nexus-backup --backup-dir="$directory" --json "$@" 2>"$work/said"
}

# lacks_redis SET: whether it has everything else, and shows without a key that Redis is missing.
lacks_redis() {
	same "Redis's file" "$(find "$1" -name 'redis.rdb*')" ""
	grep -q 'not in this set' "$1/redis-missing.txt"
	grep -q 'not in this set' "$1/RESTORE.txt"
	grep -q 'Redis is not in backup' "$work/said"
	age -d -i "$owner" "$1/manifest.json.age" | jq -e '.redis == null and (.redis_missing | length > 0)' >/dev/null
	nexus-restore show "$1" --identity "$owner" | found 'it could not be read'
	nexus-restore apply "$1" --into without_redis --identity "$owner" --yes >/dev/null
	same "the restored tables" "$(contents without_redis)" "$(contents nexus)"
	docker exec nexus-postgres dropdb without_redis
}

postgres_is_backed_up_whatever_redis_does() {
	local directory=$work/down path
	trap 'docker start nexus-redis >/dev/null' EXIT
	redis SET backup:forever yes >/dev/null
	docker stop nexus-redis >/dev/null
	path=$(with_redis "$directory" | jq -r .path)
	all_whole "$directory"
	lacks_redis "$path"
	if with_redis "$directory" --redis=yes; then return 1; fi
	grep -q 'asking Redis' "$work/said"
	docker start nexus-redis >/dev/null
	await 60 healthy
}

redis_that_gives_no_snapshot_does_not_matter() {
	local directory=$work/refuses path
	redis SET backup:forever yes >/dev/null
	trap 'redis ACL LOAD >/dev/null' EXIT
	redis ACL SETUSER default -psync -sync -replconf >/dev/null
	path=$(with_redis "$directory" | jq -r .path)
	all_whole "$directory"
	lacks_redis "$path"
}

# Twenty sets, only the first with Redis's data, then one that lacks it by mistake.
last_copy_of_redis_stays() {
	local directory=$work/rotate day
	install -d -m 700 "$directory"
	for day in $(seq 1 20); do
		install -d "$directory/$(printf '%06d' "$day")-$(date -u -d "2025-01-01 +$day days" +%Y%m%dT030000Z)"
	done
	touch "$directory/$(sets "$directory" | sed -n 2p)/redis.rdb.zst.age"
	trap 'docker start nexus-redis >/dev/null' EXIT
	redis SET backup:forever yes >/dev/null
	docker stop nexus-redis >/dev/null
	with_redis "$directory" --keep-days=14 >/dev/null
	docker start nexus-redis >/dev/null
	await 60 healthy
	same "the oldest sets left" "$(sets "$directory" | head -n 2 | cut -c1-6 | xargs)" "000002 000008"
	nexus-backup --backup-dir="$directory" --rotate-only --dry-run | found "000002-.*the newest with Redis's data"
}

other_databases_and_settings_are_named() {
	local directory=$work/others path
	docker exec nexus-postgres createdb notes
	as_owner --command="ALTER SYSTEM SET work_mem = '33MB'" --command="ALTER ROLE nexus_app SET work_mem = '9MB'" --command='SELECT pg_reload_conf()' >/dev/null
	await 10 as_owner_sees_33mb
	path=$(with_redis "$directory" | tee "$work/done.json" | jq -r .path)
	same "omitted databases" "$(jq -c '.left_out.databases | keys' "$work/done.json")" '["notes"]'
	same "omitted settings" "$(jq -c .left_out.settings "$work/done.json")" '{"work_mem":"33MB"}'
	grep -q 'in no backup of this database: the databases notes (.*; what ALTER SYSTEM has set: work_mem' "$work/said"
	nexus-restore show "$path" --identity "$owner" | found 'the databases notes'
	as_owner --command='ALTER ROLE nexus_app RESET work_mem' --command='ALTER SYSTEM RESET work_mem' --command='SELECT pg_reload_conf()' >/dev/null
	nexus-restore apply "$path" --into others --identity "$owner" --yes 2>&1 | found "ALTER ROLE nexus_app SET work_mem TO '9MB'"
	docker exec nexus-postgres dropdb others
	docker exec nexus-postgres dropdb notes
	docker exec nexus-postgres psql -XAtq --command='CREATE TABLE mine (i int)'
	with_redis "$directory" >"$work/done.json"
	docker exec nexus-postgres psql -XAtq --command='DROP TABLE mine'
	same "omitted databases" "$(jq -c '.left_out.databases | keys' "$work/done.json")" '["postgres"]'
}
as_owner_sees_33mb() { [[ $(as_owner --command='SHOW work_mem') == 33MB ]]; }

functions_that_need_a_search_path_are_named() {
	local directory=$work/names
	docker exec nexus-postgres createdb names
	docker exec -i nexus-postgres psql -XAtq --set=ON_ERROR_STOP=1 --dbname=names <<-'SQL'
		CREATE FUNCTION public.squash(t text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT lower(trim(t)) $$;
		CREATE FUNCTION public.slug(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN replace(squash(t),' ','-'); END $$;
		CREATE FUNCTION public.good(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE SET search_path = public, pg_temp AS $$ BEGIN RETURN squash(t); END $$;
		CREATE TABLE public.people (id int PRIMARY KEY, name text CHECK (slug(name) <> ''), s text GENERATED ALWAYS AS (slug(name)) STORED, CHECK (good(name) <> ''));
		INSERT INTO people (id,name) VALUES (1,'José Luis'),(2,'Ana');
		CREATE TABLE public.later (n text); CREATE INDEX later_slug ON public.later (slug(n)); INSERT INTO public.later VALUES ('Ana María');
	SQL
	backup_of names "$directory" --json >"$work/done.json" 2>"$work/said"
	same "names" "$(jq -r '.bare_names[] | "\(.object): \(.function): \(.names | join(" "))"' "$work/done.json" | sort)" \
		"constraint people_name_check on table public.people: public.slug(t text): squash
default value for column s of table public.people: public.slug(t text): squash
index public.later_slug: public.slug(t text): squash"
	grep -q 'needs a search_path.*public.later_slug' "$work/said"
	# Stock tools confirm it: they cannot load the rows, but can once the function has its own search_path.
	docker exec nexus-postgres createdb names_back
	fails 'function squash(text) does not exist' docker exec nexus-postgres sh -c 'pg_dump -Fc names | pg_restore --exit-on-error -d names_back'
	docker exec nexus-postgres psql -XAtq --dbname=names --command='ALTER FUNCTION public.slug(text) SET search_path = public, pg_temp'
	same "names after that" "$(backup_of names "$directory" --json | jq -c .bare_names)" '[]'
	docker exec nexus-postgres dropdb names_back
	docker exec nexus-postgres dropdb names
}

check postgres_is_backed_up_whatever_redis_does
check redis_that_gives_no_snapshot_does_not_matter
check last_copy_of_redis_stays
check other_databases_and_settings_are_named
check functions_that_need_a_search_path_are_named
report
