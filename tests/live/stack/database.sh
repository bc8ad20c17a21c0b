# Tests which rows a program sees, and what its searches find.
# shellcheck shell=bash disable=SC2154 # keys and episodes are those of checks.sh and stack.sh

agents_see_their_own() {
	as_program --command="INSERT INTO $episodes (content) VALUES ('check: of nobody who knows of agents')" \
		--command="SET nexus.agent_id = 'check-a'" --command="INSERT INTO $episodes (content, agent_id) VALUES ('check: a', 'check-a')" \
		--command="SET nexus.agent_id = 'check-b'" --command="INSERT INTO $episodes (content, agent_id) VALUES ('check: b', 'check-b')"
	same "the view without a setting" "$(as_program --command="SELECT string_agg(content, ',') FROM $episodes WHERE content LIKE 'check: %'")" "check: of nobody who knows of agents"
	same "a's view" "$(as_program --command="SET nexus.agent_id = 'check-a'" --command="SELECT string_agg(content, ',') FROM $episodes")" "check: a"
	same "the empty agent's view" "$(as_program --command="SET nexus.agent_id = ''" --command="SELECT count(*) FROM $episodes")" 0
	same "b's rows that a changed" "$(as_program --command="SET nexus.agent_id = 'check-a'" --command="WITH x AS (UPDATE $episodes SET content = 'x' WHERE content = 'check: b' RETURNING 1) SELECT count(*) FROM x")" 0
	fails "row-level security" as_program --command="SET nexus.agent_id = 'check-a'" --command="INSERT INTO $episodes (content, agent_id) VALUES ('x', 'check-b')"
	fails "row-level security" as_program --command="SET nexus.agent_id = 'check-a'" --command="UPDATE $episodes SET agent_id = 'check-b'"
	fails "row-level security" as_program --command="SET nexus.agent_id = ''" --command="INSERT INTO $episodes (content) VALUES ('x')"
	fails "zep_agent_id_not_empty" as_owner --command="INSERT INTO $episodes (content, agent_id) VALUES ('x', '')"
	fails "zep_importance_score_range" as_program --command="INSERT INTO $episodes (content, importance_score) VALUES ('x', 1.5)"
}

program_cannot_get_round() {
	fails "row-level security" as_program --command="SET row_security = off" --command="SELECT count(*) FROM $episodes"
	fails "must be owner" as_program --command="ALTER TABLE $episodes DISABLE ROW LEVEL SECURITY"
	fails "must be owner" as_program --command="DROP POLICY own_agent ON $episodes"
	fails "permission denied" as_program --command="TRUNCATE $episodes"
	fails "permission denied" as_program --command="SET ROLE postgres"
	fails "permission denied" as_program --command="ALTER ROLE nexus_app BYPASSRLS"
	fails "permission denied" as_program --command="CREATE TABLE nexus_memory.x ()"
	fails "permission denied" as_program --command="COPY (SELECT 1) TO PROGRAM 'cat'"
	fails "permission denied" as_program --command="SELECT pg_read_file('/run/secrets/postgres_password')"
	same "its attributes" "$(as_owner --command="SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = 'nexus_app'")" "f|f|f|f"
	same "tables of memory without forced row-level security" "$(as_owner --command="SELECT string_agg(oid::regclass::text, ',') FROM pg_class WHERE relkind IN ('r', 'p') AND relnamespace = 'nexus_memory'::regnamespace AND relname <> 'migrations' AND NOT (relrowsecurity AND relforcerowsecurity)")" ""
}

# A program cannot lock what a start or a restore needs.
a_program_delays_neither_start_nor_restore() {
	local database holder
	as_program --command="SELECT pg_advisory_lock(hashtext('nexus migrations'))" --command='SELECT pg_sleep(120)' >/dev/null 2>&1 &
	holder=$!
	await 10 as_owner --command="SELECT 1 / count(*) FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'"
	timeout 60 docker exec nexus-postgres bash /nexus/migrate.sh
	fails "permission denied" as_program --command=BEGIN --command='LOCK TABLE nexus_memory.migrations IN ACCESS SHARE MODE'
	for database in postgres template1; do
		fails "permission denied for database" as_program --dbname="$database" --command='SELECT pg_advisory_lock(7954896762663236468)'
	done
	as_owner --command="SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ~ '^SELECT pg_sleep'" >/dev/null
	wait "$holder" || true
}

# Inserts 3,000 rows; an agent has one in a hundred.
many_rows() {
	as_owner --command="INSERT INTO $episodes (content, agent_id, tags, embedding)
		SELECT 'check: ' || string_agg(md5(random()::text), ' '), CASE WHEN i % 100 = 0 THEN 'check-few' ELSE 'check-many' END, ARRAY['check-' || i % 1000],
			array_agg((random() * 2 - 1)::real)::public.vector
		FROM generate_series(1, 3000) i, generate_series(1, 384) j WHERE i IS NOT NULL GROUP BY i" \
		--command="ANALYZE $episodes"
}

# No log may contain an episode's text, even if it cannot be stored: neither in the statement, nor in its parameters, nor in the row that
# an error's details quote.
no_text_in_a_log() {
	fails "zep_importance_score_range" as_program --command="INSERT INTO $episodes (content, importance_score) VALUES ('whisper-in-a-row', 7)"
	fails "does not exist" as_program --command="INSERT INTO $episodes (content, tags) VALUES ('whisper-in-a-statement', no_such_column)"
	same "its lines in the log" "$(docker logs nexus-postgres 2>&1 | grep whisper || true)$(journalctl --no-pager --all --output=export | grep -aF whisper || true)" ""
}

# plan INDEX AGENT SQL: the planner must choose INDEX by itself for a program's query as AGENT.
plan() {
	local plan
	plan=$(as_program --command="SET nexus.agent_id = '$2'" --command="EXPLAIN $3")
	[[ $plan == *"$1"* ]] || {
		printf 'without %s: %s\n' "$1" "$plan" >&2
		return 1
	}
}

searches_use_their_index() {
	plan zep_words check-many "SELECT FROM $episodes WHERE nexus_memory.episode_words(content) @@ nexus_memory.episode_query('memoria')"
	plan zep_tags check-many "SELECT FROM $episodes WHERE tags @> ARRAY['check-1']"
	plan zep_agent_timestamp check-few "SELECT FROM $episodes ORDER BY \"timestamp\" DESC LIMIT 10"
	plan zep_embedding_hnsw check-many "SELECT FROM $episodes ORDER BY embedding <=> array_fill(0.5::real, ARRAY[384])::vector LIMIT 10"
}

# The nearest rows of the table belong to other agents; a search must still find ten of the agent's own.
nearest_of_ones_own() {
	same "found of ten" "$(as_program --command="SET nexus.agent_id = 'check-few'" --command='SET enable_seqscan = off' --command='SET enable_sort = off' \
		--command="SELECT count(*) FROM (SELECT FROM $episodes ORDER BY embedding <=> array_fill(0.5::real, ARRAY[384])::vector LIMIT 10) x")" 10
}

# word TYPED CONTENT: a search for TYPED must find CONTENT.
word() { same "\"$1\" in \"$2\"" "$(as_program --set=typed="$1" --set=content="$2" <<<"SELECT nexus_memory.episode_words(:'content') @@ nexus_memory.episode_query(:'typed')")" "$3"; }

words_of_two_languages() {
	word canciones "Escribió una canción anoche" t
	word informacion "La información llegó tarde" t
	word información "la informacion llego tarde" t
	word anos "Hace muchos años" t
	word "running dog" "The dogs ran; one runs still, running home" t
	word '"dog house"' "a house for a dog" f
	word gato "The dogs ran" f
	# The caller's temporary table hides a type.
	same "a search beside a table called text" "$(as_program --command='CREATE TEMPORARY TABLE text (a int)' --command="SELECT nexus_memory.episode_words('perros') @@ nexus_memory.episode_query('perro')")" t
	# Too long for a tsvector, but stored.
	as_program --command="INSERT INTO $episodes (content) SELECT 'check: ' || string_agg(md5(i::text), ' ') FROM generate_series(1, 100000) i"
}

migrating_again_changes_nothing() {
	local before after
	before=$(docker exec nexus-postgres pg_dump --schema-only --restrict-key=x nexus | sha256sum)
	docker exec nexus-postgres bash /nexus/migrate.sh
	after=$(docker exec nexus-postgres pg_dump --schema-only --restrict-key=x nexus | sha256sum)
	same "the schema's digest" "$after" "$before"
}

redis_keeps_what_has_no_end() {
	same "its policy" "$(redis CONFIG GET maxmemory-policy | tail -n 1)" volatile-lru
	same "appendonly" "$(redis CONFIG GET appendonly | tail -n 1)" yes
	same "its port" "$(redis CONFIG GET port | tail -n 1)" 0
	same "the health user's GET" "$(redis-cli -s /run/nexus/redis/redis.sock --no-auth-warning --user health --pass x GET a)" "NOPERM User health has no permissions to run the 'get' command"
}
