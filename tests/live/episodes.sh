# Makes a database of episodes for benchmarks, inside an installed machine.
# shellcheck shell=bash

# episodes_in DATABASE NUMBER: makes the database, with the tables of the installed one. Its vectors resemble embeddings: normalised, and
# each near one of a hundred directions. vector_index_in builds the vector index, which takes longest.
episodes_in() {
	docker exec nexus-postgres createdb "$1"
	docker exec nexus-postgres pg_dump --schema-only nexus | docker exec -i nexus-postgres psql -Xq --dbname="$1" >/dev/null
	docker exec -i nexus-postgres psql -Xq --set=ON_ERROR_STOP=1 --set=n="$2" --dbname="$1" <<-'SQL'
		DROP INDEX nexus_memory.zep_embedding_hnsw;
		SELECT setseed(0.42) \g /dev/null
		CREATE TEMP TABLE direction AS SELECT c, array_agg(random() - 0.5) AS v FROM generate_series(0, 99) c, generate_series(1, 384) GROUP BY c;
		INSERT INTO nexus_memory.zep_episodic_memory (content, tags, embedding, metadata)
		SELECT (SELECT string_agg(md5(i::text || w), ' ') FROM generate_series(1, 6) w), ARRAY['bench', 'c' || i % 100],
		  (SELECT l2_normalize(array_agg((d + 0.3 * (random() - 0.5))::real)::public.vector) FROM unnest(v) d), '{"action_type": "bench"}'
		FROM generate_series(1, :n) i JOIN direction ON c = i % 100;
		VACUUM ANALYZE;
	SQL
}

# vector_index_in DATABASE: builds the vector index.
vector_index_in() {
	local definition
	definition=$(docker exec nexus-postgres psql -XAtq --dbname=nexus --command="SELECT indexdef FROM pg_indexes WHERE indexname = 'zep_embedding_hnsw'")
	docker exec nexus-postgres psql -Xq --set=ON_ERROR_STOP=1 --dbname="$1" --command="$definition"
}
