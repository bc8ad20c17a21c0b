#!/usr/bin/env bash
# Forgetting, backups and starts never run code of a role that is not a superuser. mallory may refer to episodes, and attaches code to her
# tables that would make her a superuser. Then nexus-purge deletes nothing, and names the code. Runs inside an installed machine; needs the owner's identity.
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/sets.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/restored.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/lethe.sh"

trap 'rm -rf "$work"; leave_nexus; drop_all lethe; server --command="DROP ROLE IF EXISTS mallory"' EXIT

# mallory [OPTION of psql…]: runs SQL as mallory.
mallory() { memory --command='SET SESSION AUTHORIZATION mallory' "$@"; }

# session SQL COMMAND…: starts a client in the background, with the process number in `client`. Returns once it has run SQL; it runs what
# is written to the descriptor `in`, and ends when that is closed.
session() {
	local sql=$1
	shift
	mkfifo "$work/in"
	# The output first: opening the pipe waits, and by then an earlier session's output is gone.
	"$@" >"$work/out" 2>&1 <"$work/in" &
	client=$!
	exec {in}>"$work/in"
	rm "$work/in"
	echo "$sql; SELECT 'open';" >&"$in"
	await 10 grep -qx open "$work/out" || { cat "$work/out" >&2 && return 1; }
}

# Makes the episodes, mallory, and her functions.
begin() {
	machine m
	server --command='DROP ROLE IF EXISTS mallory' --command='CREATE ROLE mallory'
	fill 1 20 a
	memory --command='GRANT SELECT, REFERENCES ON episode TO mallory' --command='CREATE SCHEMA m AUTHORIZATION mallory'
	mallory --command="CREATE FUNCTION m.steal() RETURNS integer LANGUAGE plpgsql AS
			\$\$BEGIN ALTER ROLE mallory SUPERUSER; RETURN 1; EXCEPTION WHEN insufficient_privilege THEN RETURN 0; END\$\$" \
		--command="CREATE FUNCTION m.at_once() RETURNS trigger LANGUAGE plpgsql AS
			\$\$BEGIN PERFORM m.steal(); RETURN coalesce(NEW, OLD); END\$\$" \
		--command="CREATE FUNCTION m.at_commit() RETURNS trigger LANGUAGE plpgsql AS
			\$\$BEGIN EXECUTE 'DECLARE later CURSOR WITH HOLD FOR SELECT m.steal()'; RETURN coalesce(NEW, OLD); END\$\$" \
		--command="CREATE FUNCTION m.steal(bigint) RETURNS boolean LANGUAGE sql AS 'SELECT m.steal() IS NOT NULL'" \
		--command="CREATE FUNCTION m.f(bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'"
}
# What she replaces m.f with, once PostgreSQL has called it as her.
turned="CREATE OR REPLACE FUNCTION m.f(bigint) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM m.steal(); RETURN 1; END'"
# refers COLUMN: makes her table with this column `episode`, and a row that refers to episode 1.
refers() { mallory --command="CREATE TABLE m.t (id bigint PRIMARY KEY, episode $1)" --command='INSERT INTO m.t VALUES (1, 1)'; }
is_super() { server --command="SELECT rolsuper FROM pg_roles WHERE rolname = 'mallory'"; }

# refused_because_of WHAT [OPTION…]: the episode and her row stay, and she gains no rights.
refused_because_of() {
	local what=$1 before said status=0
	shift
	before=$(lines)
	said=$(purge --episode 1 "$@" 2>&1 </dev/null) || status=$?
	same "whether she is a superuser after $what" "$(is_super)" f
	same "the exit code ($said)" "$status" 65
	[[ $said == *"$what"* ]] || { printf '"%s" does not name %s\n' "$said" "$what" >&2 && return 1; }
	same "the episode, her row, lines of the ledger" "$(memory --command='SELECT (SELECT count(*) FROM episode WHERE id = 1), (SELECT count(*) FROM m.t)') $(lines)" "1|1 $before"
}
lines() { if [[ -e $ledger ]]; then wc -l <"$ledger"; else echo 0; fi; }

triggers_do_not_run() {
	local function when
	for function in at_once at_commit; do
		for when in 'BEFORE DELETE ON m.t FOR EACH ROW' 'AFTER DELETE ON m.t FOR EACH ROW' 'BEFORE DELETE ON m.t FOR EACH STATEMENT'; do
			begin
			refers 'bigint REFERENCES episode ON DELETE CASCADE'
			mallory --command="CREATE TRIGGER x $when EXECUTE FUNCTION m.$function()"
			refused_because_of 'trigger x on table m.t'
		done
	done
	memory --command='DROP TRIGGER x ON m.t'
	purge --episode 1 --json 2>/dev/null >"$work/done.json"
	same "the message" "$(jq -c .referring "$work/done.json")" '[{"table":"\"m\".\"t\"","deleted":1,"emptied":0}]'
	same "rows" "$(memory --command='SELECT (SELECT count(*) FROM episode), (SELECT count(*) FROM m.t)') $(is_super)" '19|0 f'
}

what_an_update_evaluates_does_not_run() {
	local also
	for also in 'CREATE TRIGGER x BEFORE UPDATE ON m.t FOR EACH ROW EXECUTE FUNCTION m.at_commit()|trigger x on table m.t' \
		'ALTER TABLE m.t ADD CONSTRAINT x CHECK (episode IS NOT NULL OR m.steal(id))|constraint x on table m.t' \
		'ALTER FUNCTION m.steal(bigint) IMMUTABLE; CREATE INDEX x ON m.t (m.steal(id))|index m.x'; do
		begin
		refers 'bigint REFERENCES episode ON DELETE SET NULL'
		mallory --command="${also%|*}"
		refused_because_of "${also#*|}"
	done
	begin
	refers 'bigint DEFAULT m.steal() REFERENCES episode ON DELETE SET DEFAULT'
	refused_because_of 'constraint t_episode_fkey on table m.t'
	begin
	refers 'bigint REFERENCES episode'
	exits 65 'their foreign key forbids it' purge --episode 1
	mallory --command='CREATE TRIGGER x BEFORE UPDATE OR DELETE ON m.t FOR EACH ROW EXECUTE FUNCTION m.at_once()'
	refused_because_of 'trigger x on table m.t' --referring set-null
	refused_because_of 'trigger x on table m.t' --referring cascade
}

# Two deep, by a trigger or by a rule; and on a table of the owner where she may create triggers.
deep_tables_count() {
	begin
	refers 'bigint REFERENCES episode ON DELETE CASCADE'
	mallory --command='CREATE TABLE m.deep (t bigint REFERENCES m.t ON DELETE CASCADE)' --command='INSERT INTO m.deep VALUES (1)' \
		--command='CREATE TRIGGER x BEFORE DELETE ON m.deep FOR EACH ROW EXECUTE FUNCTION m.at_commit()'
	refused_because_of 'trigger x on table m.deep'
	mallory --command='DROP TRIGGER x ON m.deep' --command='CREATE RULE x AS ON DELETE TO m.deep DO ALSO SELECT m.steal()'
	refused_because_of 'rule x on table m.deep'
	begin
	refers 'bigint REFERENCES episode ON DELETE CASCADE'
	memory --command='GRANT TRIGGER ON episode TO mallory'
	mallory --command='CREATE TRIGGER x AFTER DELETE ON episode FOR EACH STATEMENT EXECUTE FUNCTION m.at_once()'
	refused_because_of 'trigger x on table public.episode'
}

# The server deletes a row that moves to another partition, and inserts it there. Her own partitioned tables are refused as such.
moved_rows_run_no_trigger() {
	local when owner
	for when in 'INSERT ON m.nulls' 'DELETE ON m.rest'; do
		for owner in memory mallory; do
			begin
			$owner --command='CREATE TABLE m.t (id bigint, episode bigint REFERENCES episode ON DELETE SET NULL) PARTITION BY LIST (episode)' \
				--command='CREATE TABLE m.nulls PARTITION OF m.t FOR VALUES IN (NULL)' --command='CREATE TABLE m.rest PARTITION OF m.t DEFAULT' \
				--command='INSERT INTO m.t VALUES (1, 1)' --command='GRANT TRIGGER ON m.nulls, m.rest TO mallory'
			mallory --command="CREATE TRIGGER x BEFORE $when FOR EACH ROW EXECUTE FUNCTION m.at_commit()"
			if [[ $owner == memory ]]; then refused_because_of "trigger x on table ${when#* ON }"; else refused_because_of 'table m.nulls'; fi
		done
	done
}

# Nor the triggers of a table that refers to the partition alone: the server deletes there what referred to the row.
moved_rows_delete_nothing_of_others() {
	begin
	memory --command='CREATE TABLE m.p (id bigint, episode bigint REFERENCES episode ON DELETE SET NULL) PARTITION BY LIST (episode)' \
		--command='CREATE TABLE m.nulls PARTITION OF m.p FOR VALUES IN (NULL)' --command='CREATE TABLE m.rest PARTITION OF m.p DEFAULT' \
		--command='ALTER TABLE m.rest ADD UNIQUE (id)' --command='GRANT REFERENCES ON m.rest TO mallory' --command='INSERT INTO m.p VALUES (1, 1)'
	mallory --command='CREATE TABLE m.t (id bigint REFERENCES m.rest (id) ON DELETE CASCADE)' --command='INSERT INTO m.t VALUES (1)' \
		--command='CREATE TRIGGER x BEFORE DELETE ON m.t FOR EACH ROW EXECUTE FUNCTION m.at_commit()'
	refused_because_of 'trigger x on table m.t'
}

# A changed row is checked again by its other keys: by the cast of her type, and by a plan for the table that they refer to. And ON UPDATE
# may set a default.
other_keys_of_a_changed_row_run_nothing() {
	begin
	mallory --command="CREATE TYPE m.e AS ENUM ('1')" --command="CREATE FUNCTION m.cast(m.e) RETURNS bigint LANGUAGE sql AS 'SELECT 1'" \
		--command='CREATE CAST (m.e AS bigint) WITH FUNCTION m.cast(m.e) AS IMPLICIT' --command='CREATE TABLE m.pk (k bigint PRIMARY KEY)' \
		--command='INSERT INTO m.pk VALUES (1)' --command='CREATE TABLE m.t (one bigint REFERENCES episode ON DELETE SET NULL,
			two bigint REFERENCES episode ON DELETE SET NULL, k m.e REFERENCES m.pk)' --command="INSERT INTO m.t VALUES (1, 1, '1')"
	refused_because_of 'column k of table m.t'
	begin
	mallory --command='CREATE TABLE m.pk (k bigint PRIMARY KEY)' --command='INSERT INTO m.pk VALUES (1)' \
		--command='CREATE TABLE m.t (one bigint REFERENCES episode ON DELETE SET NULL, two bigint REFERENCES episode ON DELETE SET NULL, k bigint REFERENCES m.pk)' \
		--command='INSERT INTO m.t VALUES (1, 1, 1)' --command='CREATE INDEX x ON m.pk ((k + m.f(1)))' --command="$turned"
	refused_because_of 'index m.x'
	begin
	mallory --command='CREATE TABLE m.u (episode bigint UNIQUE REFERENCES episode ON DELETE SET NULL)' \
		--command='CREATE TABLE m.t (episode bigint DEFAULT m.steal() REFERENCES m.u (episode) ON UPDATE SET DEFAULT)' \
		--command='INSERT INTO m.u VALUES (1)' --command='INSERT INTO m.t VALUES (1)'
	refused_because_of 'constraint t_episode_fkey on table m.t'
}

# Only a partition refers to the episodes, and her other table to the partitioned table.
keys_to_a_partitioned_table_count() {
	begin
	memory --command='CREATE TABLE m.p (id bigint PRIMARY KEY, episode bigint) PARTITION BY LIST (id)' \
		--command='CREATE TABLE m.p1 PARTITION OF m.p FOR VALUES IN (1)' --command='ALTER TABLE m.p1 ADD FOREIGN KEY (episode) REFERENCES episode ON DELETE CASCADE' \
		--command='GRANT REFERENCES ON m.p TO mallory' --command='INSERT INTO m.p VALUES (1, 1)'
	mallory --command='CREATE TABLE m.t (p bigint REFERENCES m.p ON DELETE CASCADE)' --command='INSERT INTO m.t VALUES (1)' \
		--command='CREATE TRIGGER x BEFORE DELETE ON m.t FOR EACH ROW EXECUTE FUNCTION m.at_commit()'
	refused_because_of 'trigger x on table m.t'
	memory --command='DROP TRIGGER x ON m.t'
	purge --episode 1 2>/dev/null
	same "rows" "$(memory --command='SELECT (SELECT count(*) FROM episode), (SELECT count(*) FROM m.p), (SELECT count(*) FROM m.t)')" '19|0|0'
}

# The owner's own objects call her functions: a condition from the time when she might create triggers, and a constraint.
functions_in_objects_of_a_superuser_count() {
	begin
	refers 'bigint REFERENCES episode ON DELETE CASCADE'
	memory --command='GRANT TRIGGER ON episode TO mallory'
	mallory --command='CREATE TRIGGER x BEFORE DELETE ON episode FOR EACH ROW WHEN (m.steal(OLD.id)) EXECUTE FUNCTION suppress_redundant_updates_trigger()'
	memory --command='REVOKE TRIGGER ON episode FROM mallory'
	refused_because_of 'trigger x on table public.episode'
	begin
	memory --command='CREATE TABLE m.t (id bigint, episode bigint REFERENCES episode ON DELETE SET NULL, CONSTRAINT x CHECK (m.f(id) > 0))' \
		--command='INSERT INTO m.t VALUES (1, 1)'
	mallory --command="$turned"
	refused_because_of 'constraint x on table m.t'
	begin
	memory --command='CREATE TABLE m.t (id bigint, episode bigint REFERENCES episode ON DELETE SET NULL)' --command='INSERT INTO m.t VALUES (1, 1)' \
		--command='ALTER TABLE m.t ADD x bigint GENERATED ALWAYS AS (m.f(id)) STORED'
	mallory --command="$turned"
	refused_because_of 'column x of table m.t'
	# A domain of the owner, whose constraint calls it.
	begin
	memory --command='CREATE DOMAIN m.d AS bigint CHECK (m.f(VALUE) > 0)' --command='CREATE TABLE m.t (id bigint, episode m.d REFERENCES episode)' \
		--command='INSERT INTO m.t VALUES (1, 1)'
	mallory --command="$turned"
	refused_because_of 'column episode of table m.t'
}

# A condition of hers from the time when she might create triggers: a function of the server runs a text of hers as SQL. Beside any trigger
# whose function is not NEXUS's, the privilege is refused: she could choose the arguments.
conditions_and_arguments_of_hers_do_not_run() {
	begin
	refers 'bigint REFERENCES episode ON DELETE CASCADE'
	memory --command='GRANT TRIGGER ON episode TO mallory'
	mallory --command="CREATE TRIGGER x AFTER DELETE ON episode FOR EACH ROW WHEN (query_to_xml('SELECT m.steal()', true, true, '') IS NULL) EXECUTE FUNCTION suppress_redundant_updates_trigger()"
	memory --command='REVOKE TRIGGER ON episode FROM mallory'
	refused_because_of 'trigger x on table public.episode'
	begin
	refers 'bigint REFERENCES episode ON DELETE CASCADE'
	memory --command='GRANT TRIGGER ON episode TO mallory'
	mallory --command='CREATE TRIGGER x BEFORE DELETE ON episode FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()'
	refused_because_of 'trigger x on table public.episode'
}

# Queries before the deletion: by a type of the owner's, and by an index of the owner's, both of which call her function.
what_is_asked_before_runs_nothing() {
	begin
	memory --command='CREATE DOMAIN d AS bigint CHECK (m.f(VALUE) > 0)' --command='ALTER TABLE episode ALTER id TYPE d'
	mallory --command="$turned"
	exits 65 'column id of table public.episode' purge --episode 1
	# A type in a schema of hers, where she could put another one in its place.
	begin
	memory --command='CREATE DOMAIN m.d AS bigint' --command='ALTER TABLE episode ALTER id TYPE m.d'
	exits 78 'type of column id of public.episode' purge --episode 1
	begin
	memory --command='CREATE INDEX x ON episode ((id + m.f(1)))'
	mallory --command="$turned"
	exits 65 'index public.x' purge --tag nothing-has-it --dry-run
	same "whether she is a superuser" "$(is_super)" f
}

# Who owns the database could set the role of its sessions: NEXUS would trust it.
settings_of_the_database_change_nothing() {
	begin
	refers 'bigint REFERENCES episode ON DELETE CASCADE'
	mallory --command='CREATE TRIGGER x BEFORE DELETE ON m.t FOR EACH ROW EXECUTE FUNCTION m.at_once()'
	memory --command='ALTER TABLE episode OWNER TO mallory' --command='GRANT ALL ON SCHEMA public TO mallory'
	server --command="ALTER DATABASE lethe SET role = 'mallory'"
	exits 78 'public.episode belongs to role mallory' purge --episode 1
	server --command='ALTER DATABASE lethe RESET role'
	same "whether she is a superuser" "$(is_super)" f
}

# Who owns the schema could put another table in the place of the episodes; who owns the database could set a search_path.
owners_of_schema_and_database_run_nothing() {
	begin
	memory --command='ALTER SCHEMA public OWNER TO mallory'
	exits 78 'schema public belongs to role mallory' purge --episode 1
	begin
	mallory --command="CREATE FUNCTION m.eq(text, text) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN PERFORM m.steal(); RETURN true; END'" \
		--command='CREATE OPERATOR m.= (LEFTARG = text, RIGHTARG = text, FUNCTION = m.eq)'
	server --command='ALTER DATABASE lethe OWNER TO mallory' --command='ALTER DATABASE lethe SET search_path = m, pg_catalog'
	exits 78 'schema public belongs to role' purge --episode 1
	backup >/dev/null 2>&1 || true
	same "whether she is a superuser" "$(is_super)" f
	server --command='ALTER DATABASE lethe RESET search_path' --command='ALTER DATABASE lethe OWNER TO postgres'
}

# A comparison calls the cast of her type.
casts_do_not_run() {
	begin
	mallory --command="CREATE TYPE m.e AS ENUM ('1')" --command="CREATE FUNCTION m.cast(m.e) RETURNS bigint LANGUAGE sql AS 'SELECT 1'" \
		--command='CREATE CAST (m.e AS bigint) WITH FUNCTION m.cast(m.e) AS IMPLICIT'
	mallory --command='CREATE TABLE m.t (id bigint PRIMARY KEY, episode m.e REFERENCES episode)' --command="INSERT INTO m.t VALUES (1, '1')"
	# Replaced only now, because PostgreSQL itself calls it as the owner of the episodes when she inserts.
	mallory --command="CREATE OR REPLACE FUNCTION m.cast(m.e) RETURNS bigint LANGUAGE sql AS 'SELECT m.steal()::bigint * 0 + 1'"
	refused_because_of 'column episode of table m.t'
	begin
	refers 'bigint REFERENCES episode'
	memory --command='ALTER TABLE episode OWNER TO mallory'
	exits 78 'public.episode belongs to role mallory' purge --episode 1
}

# The planner calls immutable functions of constants for any statement on the table, even if it is empty.
what_the_planner_evaluates_does_not_run() {
	local also
	for also in 'CREATE INDEX x ON m.t ((id + m.f(1)))|index m.x' 'CREATE INDEX x ON m.t (id) WHERE id > m.f(1) - 5|index m.x' \
		'CREATE STATISTICS m.x ON (id + m.f(1)), episode FROM m.t|statistics object m.x' \
		'ALTER TABLE m.t ADD CONSTRAINT x CHECK (id > m.f(1) - 5)|constraint x on table m.t'; do
		begin
		refers 'bigint REFERENCES episode ON DELETE CASCADE'
		mallory --command="${also%|*}" --command="$turned"
		refused_because_of "${also#*|}"
	done
	begin
	memory --command='CREATE TABLE m.t (id bigint, episode bigint REFERENCES episode ON DELETE CASCADE) PARTITION BY RANGE ((id + m.f(1)))' \
		--command='CREATE TABLE m.p PARTITION OF m.t DEFAULT' --command='INSERT INTO m.t VALUES (1, 1)'
	mallory --command="$turned"
	refused_because_of 'table m.t'
	begin
	mallory --command='CREATE TABLE m.t (id bigint, episode bigint REFERENCES episode)' --command='CREATE INDEX x ON m.t ((id + m.f(1)))' --command="$turned"
	exits 65 'index m.x' purge --episode 1
	exits 65 'index m.x' purge --tag nothing-has-it --yes
	same "whether she is a superuser" "$(is_super)" f
}

# An immutable function of the server opens a table by its number, and evaluates the partition key of it.
functions_of_the_server_that_call_others_do_not_run() {
	local number
	begin
	mallory --command='CREATE TABLE m.p (id bigint) PARTITION BY HASH ((id + m.f(1)))'
	number=$(memory --command="SELECT 'm.p'::regclass::oid")
	refers 'bigint REFERENCES episode ON DELETE CASCADE'
	mallory --command="CREATE INDEX x ON m.t (id) WHERE satisfies_hash_partition('$number'::oid, 1, 0, 5::bigint)" --command="$turned"
	refused_because_of 'index m.x'
}

# Expressions of the owner that use functions of superusers, and columns, keys and indexes of hers.
plain_tables_are_followed() {
	begin
	memory --command='CREATE TABLE m.t (id bigint CHECK (id > 0), episode bigint REFERENCES episode ON DELETE CASCADE)' --command='INSERT INTO m.t VALUES (1, 1)' \
		--command='CREATE INDEX x ON m.t (pg_catalog.abs(id)) WHERE id > 0' --command='CREATE STATISTICS m.x ON (id + 1), episode FROM m.t'
	# shellcheck disable=SC2016 # the server reads it
	mallory --command="CREATE TYPE m.e AS ENUM ('1')" --command='CREATE TABLE m.u (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
		episode bigint NOT NULL REFERENCES episode ON DELETE CASCADE, e m.e, state text CHECK (state IN ($$a$$, $$b$$)), stored timestamptz DEFAULT now(), UNIQUE (episode, stored))' \
		--command='CREATE INDEX ON m.u (stored) INCLUDE (id)' --command='CREATE INDEX ON m.u (lower(state)) WHERE id > 0' --command='CREATE VIEW m.v AS SELECT m.f(id) FROM m.u' --command='INSERT INTO m.u (episode) VALUES (1)'
	# Not even the triggers of a table that hers refers to, nor casts that she makes for a type of the owner's.
	mallory --command='CREATE TABLE m.person (id bigint PRIMARY KEY)' --command='INSERT INTO m.person VALUES (7)' \
		--command='CREATE TRIGGER x BEFORE UPDATE ON m.person FOR EACH ROW EXECUTE FUNCTION m.at_once()' \
		--command='ALTER TABLE m.u ADD person bigint REFERENCES m.person CHECK (coalesce(person, 7) IS DISTINCT FROM 8)' --command='UPDATE m.u SET person = 7' \
		--command='CREATE FUNCTION m.cast(m.e) RETURNS bigint LANGUAGE sql RETURN 1' --command='CREATE CAST (m.e AS bigint) WITH FUNCTION m.cast(m.e)'
	# A trigger of the owner's, with the usual condition.
	memory --command="CREATE TRIGGER x BEFORE UPDATE ON m.t FOR EACH ROW WHEN (OLD.* IS DISTINCT FROM NEW.*) EXECUTE FUNCTION suppress_redundant_updates_trigger()"
	purge --episode 1 2>/dev/null
	same "rows" "$(memory --command='SELECT (SELECT count(*) FROM episode), (SELECT count(*) FROM m.t), (SELECT count(*) FROM m.u)')" '19|0|0'
}

# A foreign key does not apply to rows of tables that inherit from its own, so neither does forgetting.
children_are_left_alone() {
	begin
	mallory --command='CREATE TABLE m.t (id bigint, episode bigint REFERENCES episode ON DELETE CASCADE)' --command='CREATE TABLE m.c () INHERITS (m.t)' \
		--command='INSERT INTO m.c VALUES (1, 1)' --command='CREATE TRIGGER x BEFORE DELETE ON m.c FOR EACH ROW EXECUTE FUNCTION m.at_once()'
	purge --episode 1 2>/dev/null
	same "rows, and whether she is a superuser" "$(memory --command='SELECT (SELECT count(*) FROM episode), (SELECT count(*) FROM m.c)') $(is_super)" '19|1 f'
}

# A role adds code while a run waits for the table: the run checks it once it has its lock.
code_that_comes_meanwhile_does_not_run() {
	comes_meanwhile 'CREATE TRIGGER x BEFORE DELETE ON m.t FOR EACH ROW EXECUTE FUNCTION m.at_commit()' 'trigger x on table m.t'
	# The same if a transaction saw the catalogs as they were at its first statement.
	server --command="ALTER ROLE postgres SET default_transaction_isolation = 'repeatable read'"
	comes_meanwhile 'CREATE TRIGGER x BEFORE DELETE ON m.t FOR EACH ROW EXECUTE FUNCTION m.at_commit()' 'trigger x on table m.t'
	server --command='ALTER ROLE postgres RESET default_transaction_isolation'
	comes_meanwhile "CREATE STATISTICS m.x ON (id + m.f(1)), episode FROM m.t; $turned" 'statistics object m.x'
}

# She renames the schema and puts another table in the place of hers while a run waits: it goes on with the table that refers.
a_renamed_schema_runs_nothing() {
	local run in client
	begin
	refers 'bigint REFERENCES episode ON DELETE CASCADE'
	memory --command='GRANT CREATE ON DATABASE lethe TO mallory'
	session "SET SESSION AUTHORIZATION mallory; BEGIN; ALTER SCHEMA m RENAME TO n; CREATE SCHEMA m; CREATE TABLE m.t (id bigint, episode bigint);
		CREATE INDEX x ON m.t ((id + n.f(1))); ${turned//m./n.}" memory
	purge --episode 1 >"$work/run" 2>&1 &
	run=$!
	await 10 run_waits
	echo 'COMMIT;' >&"$in"
	exec {in}>&-
	wait "$run" || { cat "$work/run" >&2 && return 1; }
	same "whether she is a superuser, and the rows" "$(is_super) $(memory --command='SELECT (SELECT count(*) FROM episode), (SELECT count(*) FROM n.t)')" 'f 19|0'
}

# The same with a partition in a schema of its own, after the run has found the row in it: it waits for a row of another table.
a_renamed_schema_of_a_partition_runs_nothing() {
	local run in client
	begin
	memory --command='GRANT CREATE ON DATABASE lethe TO mallory'
	mallory --command='CREATE SCHEMA b' --command='CREATE SCHEMA fake'
	memory --command='CREATE TABLE m.t (id bigint, episode bigint REFERENCES episode ON DELETE CASCADE) PARTITION BY LIST (id)' \
		--command='CREATE TABLE b.p PARTITION OF m.t FOR VALUES IN (1)' --command='INSERT INTO m.t VALUES (1, 1)'
	mallory --command='CREATE TABLE fake.p (id bigint, episode bigint)' --command='CREATE TABLE m.u (episode bigint REFERENCES episode ON DELETE CASCADE)' \
		--command='INSERT INTO fake.p VALUES (1, 1)' --command='INSERT INTO m.u VALUES (1)' \
		--command='CREATE TRIGGER x BEFORE DELETE ON fake.p FOR EACH ROW EXECUTE FUNCTION m.at_once()'
	session 'SET SESSION AUTHORIZATION mallory; BEGIN; SELECT FROM m.u FOR UPDATE' memory
	purge --episode 1 >"$work/run" 2>&1 &
	run=$!
	await 10 run_waits
	echo 'ALTER SCHEMA b RENAME TO c; ALTER SCHEMA fake RENAME TO b; COMMIT;' >&"$in"
	exec {in}>&-
	wait "$run" || { cat "$work/run" >&2 && return 1; }
	same "whether she is a superuser, and the rows" "$(is_super) $(memory --command='SELECT (SELECT count(*) FROM episode), (SELECT count(*) FROM m.t), (SELECT count(*) FROM m.u)')" 'f 19|0|0'
}

# comes_meanwhile CODE NAME
comes_meanwhile() {
	local run in client
	begin
	refers 'bigint REFERENCES episode ON DELETE CASCADE'
	session "SET SESSION AUTHORIZATION mallory; BEGIN; $1" memory
	purge --episode 1 >"$work/run" 2>&1 &
	run=$!
	await 10 run_waits
	echo 'COMMIT;' >&"$in"
	exec {in}>&-
	if wait "$run"; then echo "it succeeded" >&2 && return 1; fi
	grep -q "$2" "$work/run"
	same "whether she is a superuser, and the episode" "$(is_super) $(memory --command='SELECT count(*) FROM episode WHERE id = 1')" 'f 1'
}
run_waits() { [[ $(memory --command="SELECT count(*) FROM pg_stat_activity WHERE application_name = 'nexus-purge' AND wait_event_type = 'Lock'") -ge 1 ]]; }

# A trigger that keeps its row: forgetting says so, and the decision stays open.
rows_that_a_trigger_keeps_are_reported() {
	begin
	memory --command="CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'" \
		--command='CREATE TRIGGER x BEFORE DELETE ON episode FOR EACH ROW EXECUTE FUNCTION keep()'
	backup
	exits 65 'some of them are still there' purge --episode 1
	memory --command='DROP TRIGGER x ON episode'
	purge --episode 1 2>/dev/null
	apply m --no-safety-backup --yes >/dev/null 2>"$work/said" && return 1
	grep -q 'some of them are still there' "$work/said"
	same "the episode" "$(memory --command='SELECT count(*) FROM episode WHERE id = 1')" 0
}

# A restore trusts the code in its set, and forgets again there.
restore_is_not_stopped() {
	begin
	refers 'bigint REFERENCES episode ON DELETE CASCADE'
	mallory --command="CREATE FUNCTION m.quiet() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END'" \
		--command='CREATE TRIGGER x BEFORE DELETE ON m.t FOR EACH ROW EXECUTE FUNCTION m.quiet()'
	backup
	memory --command='DROP TRIGGER x ON m.t'
	purge --episode 1 2>/dev/null
	apply m --no-safety-backup --yes --json >"$work/done.json" 2>/dev/null
	same "rows forgotten again, and the remaining rows" "$(jq .forgotten "$work/done.json") $(memory --command='SELECT (SELECT count(*) FROM episode), (SELECT count(*) FROM m.t)')" '1 19|0'
}

# While a backup reads her sequences, she puts something in the place of one that runs her code when it is read by name.
sequences_are_not_read_by_name() {
	local other run in client
	for other in 'CREATE VIEW m.b AS SELECT 1::bigint AS last_value, m.become() > 0 AS is_called' \
		"CREATE TABLE m.b (last_value bigint, is_called boolean); CREATE INDEX ON m.b ((last_value + m.f(1))); ${turned/steal/become}"; do
		begin
		docker exec nexus-postgres rm -f /tmp/by-mallory
		mallory --command='CREATE SEQUENCE m.a' --command='CREATE SEQUENCE m.b' --command="CREATE FUNCTION m.become() RETURNS integer LANGUAGE plpgsql AS
			\$\$BEGIN EXECUTE \$x\$COPY (SELECT 1) TO PROGRAM 'touch /tmp/by-mallory'\$x\$; RETURN 1; EXCEPTION WHEN insufficient_privilege THEN RETURN 0; END\$\$"
		# A lock that holds the backup up at her first sequence.
		session 'SET SESSION AUTHORIZATION mallory; BEGIN; ALTER SEQUENCE m.a RENAME TO c' memory
		backup >/dev/null 2>&1 &
		run=$!
		await 10 memory --command="SELECT 1 / count(*) FROM pg_locks WHERE relation = 'm.a'::regclass AND NOT granted"
		mallory --command="DROP SEQUENCE m.b; $other"
		echo 'ROLLBACK;' >&"$in"
		exec {in}>&-
		wait "$run" || true
		if docker exec nexus-postgres test -e /tmp/by-mallory; then echo "the backup ran her code" >&2 && return 1; fi
	done
}

# In the database of the stack: a start must not call functions of roles that may create them, nor the index list of a restore be theirs.
in_nexus() { docker exec -i nexus-postgres psql -XAtq --set=ON_ERROR_STOP=1 --dbname=nexus "$@"; }
leave_nexus() {
	in_nexus --command='DROP SCHEMA IF EXISTS postgres CASCADE' --command='DROP SCHEMA IF EXISTS nexus_restore CASCADE' \
		--command='DROP FUNCTION IF EXISTS public.format(text, name)' --command='REVOKE CREATE ON SCHEMA public FROM mallory' \
		--command='REVOKE CREATE ON DATABASE nexus FROM mallory' 2>/dev/null || true
}
migrate() { timeout 60 docker exec nexus-postgres bash /nexus/migrate.sh; }
starts_call_no_functions_of_others() {
	local schema theirs
	server --command='DROP DATABASE IF EXISTS lethe WITH (FORCE)' --command='DROP ROLE IF EXISTS mallory' --command='CREATE ROLE mallory'
	in_nexus --command='GRANT CREATE ON DATABASE nexus TO mallory' --command='GRANT CREATE ON SCHEMA public TO mallory'
	for schema in postgres public; do
		in_nexus --command='GRANT CONNECT ON DATABASE postgres TO PUBLIC' --command='SET SESSION AUTHORIZATION mallory' --command="CREATE SCHEMA IF NOT EXISTS $schema" \
			--command="CREATE FUNCTION $schema.format(text, name) RETURNS text LANGUAGE sql AS \$\$SELECT 'ALTER ROLE mallory SUPERUSER'\$\$"
		migrate
		same "whether she is a superuser, by $schema" "$(is_super)" f
	done
	same "the database postgres" "$(in_nexus --command="SELECT count(*) FROM pg_database, aclexplode(datacl) WHERE datname = 'postgres' AND grantee = 0")" 0
	theirs="CREATE SCHEMA nexus_restore CREATE TABLE unbuilt (place integer, schema text, index text, statement text, tablespace text)"
	in_nexus --command='SET SESSION AUTHORIZATION mallory' --command="$theirs" \
		--command="INSERT INTO nexus_restore.unbuilt VALUES (1, NULL, NULL, 'ALTER ROLE mallory SUPERUSER', NULL)"
	nexus-restore finish >/dev/null 2>&1 || true
	same "whether she is a superuser, by nexus_restore" "$(is_super)" f
	leave_nexus
}

# A program keeps a change of its own role, or what it may grant to itself, open: a start does not wait for it.
starts_wait_for_no_change_of_a_program() {
	local change in client
	migrate
	for change in "ALTER ROLE nexus_app SET work_mem = '5MB'" 'GRANT CONNECT ON DATABASE nexus TO nexus_app' \
		'GRANT EXECUTE ON FUNCTION pg_catalog.ts_match_vq(tsvector, tsquery) TO nexus_app'; do
		session "SET SESSION AUTHORIZATION nexus_app; BEGIN; $change" in_nexus
		timeout 20 docker exec nexus-postgres bash /nexus/migrate.sh || { echo "waits for: $change" >&2 && return 1; }
		exec {in}>&-
		wait "$client"
	done
	# Where it must wait, it names the session, and does not wait long.
	server --command='ALTER ROLE nexus_app RESET nexus.agent_id' --command="ALTER ROLE nexus_app SET work_mem = '6MB'"
	session "SET SESSION AUTHORIZATION nexus_app; BEGIN; ALTER ROLE nexus_app SET work_mem = '5MB'" in_nexus
	fails 'has had a transaction open' migrate
	exec {in}>&-
	wait "$client"
	server --command='ALTER ROLE nexus_app RESET work_mem'
	migrate
	same "what the role has" "$(server --command="SELECT array_to_string(setconfig, ' ') FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = setrole WHERE rolname = 'nexus_app' ORDER BY 1")" \
		'hnsw.iterative_scan=relaxed_order nexus.agent_id=nexus'
}

# While a start fails, a role whose name has a line end has a transaction open: the name is part of one line, and controls no terminal.
forger=$'x\nnexus: all is well\e[31m\u202e'
as_forger() { docker exec -i --env PGPASSWORD=forged nexus-postgres psql -XAtq --username="$forger" --dbname=nexus; }
names_of_roles_forge_no_line() {
	local blocked in client
	migrate
	server --command="CREATE ROLE \"$forger\" LOGIN PASSWORD 'forged'" --command="GRANT CONNECT ON DATABASE nexus TO \"$forger\"" \
		--command='ALTER ROLE nexus_app RESET nexus.agent_id'
	session "BEGIN; ALTER ROLE nexus_app SET work_mem = '5MB'" in_nexus
	blocked=$in
	session 'BEGIN; SELECT pg_current_xact_id()' as_forger
	fails 'has had a transaction open' migrate
	migrate >"$work/said" 2>&1 || true
	exec {in}>&- {blocked}>&-
	wait
	server --command="DROP OWNED BY \"$forger\"" --command="REVOKE CONNECT ON DATABASE nexus FROM \"$forger\"" --command="DROP ROLE \"$forger\""
	migrate
	same "lines of the forger" "$(grep '^nexus: all is well' "$work/said" || true)" ""
	grep -q ' of role "x?nexus: all is well?\[31m?" has had a transaction open' "$work/said"
}

check triggers_do_not_run
check what_an_update_evaluates_does_not_run
check deep_tables_count
check moved_rows_run_no_trigger
check moved_rows_delete_nothing_of_others
check other_keys_of_a_changed_row_run_nothing
check keys_to_a_partitioned_table_count
check functions_in_objects_of_a_superuser_count
check conditions_and_arguments_of_hers_do_not_run
check what_is_asked_before_runs_nothing
check settings_of_the_database_change_nothing
check owners_of_schema_and_database_run_nothing
check casts_do_not_run
check what_the_planner_evaluates_does_not_run
check functions_of_the_server_that_call_others_do_not_run
check plain_tables_are_followed
check children_are_left_alone
check code_that_comes_meanwhile_does_not_run
check a_renamed_schema_runs_nothing
check a_renamed_schema_of_a_partition_runs_nothing
check rows_that_a_trigger_keeps_are_reported
check restore_is_not_stopped
check sequences_are_not_read_by_name
check starts_call_no_functions_of_others
check starts_wait_for_no_change_of_a_program
check names_of_roles_forge_no_line
report
