#!/usr/bin/env bash
# Measures a purge of a large table while programs search and insert, inside an installed machine, in its own database: rows per second,
# memory, and the p95 of search and insert during the purge and just before. Prints a table. Fails if nexus-purge needs more than 64 MiB,
# or, from 100,000 episodes on, if a p95 more than doubles; the p95 of a shorter run is random.
# usage: purge-bench.sh [EPISODES [PERCENT_EXPIRED [vector|words]]]
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

episodes=${1:-20000}
share=${2:-30}
# vector, or words, for so many rows that building the vector index would take too long.
search=${3:-vector}
work=$(mktemp -d)
trap 'rm -rf "$work"; docker exec nexus-postgres dropdb --if-exists --force bench_purge' EXIT

bench() { docker exec -i nexus-postgres psql -Xq --set=ON_ERROR_STOP=1 --dbname=bench_purge "$@"; }
table=nexus_memory.zep_episodic_memory

# The vectors resemble embeddings: a hundred directions, 5000 points near them, and around each point some of a hundred thousand small
# deviations. The oldest rows are the first, as in a table that has grown.
fill() {
	bench --set=n="$episodes" --set=share="$share" --set=from="$1" --set=to="$2" <<-'SQL'
		INSERT INTO nexus_memory.zep_episodic_memory ("timestamp", content, tags, embedding, metadata)
		SELECT CASE WHEN i <= :n::bigint * :share / 100 THEN now() - interval '200 days' ELSE now() END, 'episode ' || i || ' ' || md5(i::text), ARRAY['c' || i % 100],
			place.e + a.e + b.e, '{"action_type": "bench"}'
		FROM generate_series(:from, :to) i JOIN place ON r = 1 + i % 5000 JOIN deviation a ON a.k = i / 5000 % 1000 JOIN deviation b ON b.k = hashint4(i) & 511;
	SQL
}
make_the_table() {
	local indexes size
	docker exec nexus-postgres dropdb --if-exists --force bench_purge
	docker exec nexus-postgres createdb bench_purge
	docker exec --env NEXUS_PG_DATABASE=bench_purge nexus-postgres bash /nexus/migrate.sh
	# Two sessions fill it at a time; the indexes follow.
	indexes=$(bench -At --command="SELECT indexdef || ';' FROM pg_indexes WHERE tablename = 'zep_episodic_memory' AND indexname !~ 'pkey'")
	bench -At --command="SELECT format('DROP INDEX nexus_memory.%I;', indexname) FROM pg_indexes WHERE tablename = 'zep_episodic_memory' AND indexname !~ 'pkey'" | bench
	bench <<-'SQL'
		SELECT setseed(0.42) \g /dev/null
		CREATE TABLE direction AS SELECT c, array_agg(random() - 0.5) AS v FROM generate_series(0, 99) c, generate_series(1, 384) GROUP BY c;
		CREATE TABLE place AS SELECT row_number() OVER () AS r, (SELECT l2_normalize(array_agg((d + 0.5 * (random() - 0.5))::real)::vector) FROM unnest(v) d WHERE k > 0) AS e
			FROM direction, generate_series(1, 50) k;
		CREATE TABLE deviation AS SELECT k, (SELECT array_agg(((random() - 0.5) / 20)::real) FROM generate_series(1, 384) j WHERE k >= 0)::vector AS e FROM generate_series(0, 999) k;
		CREATE INDEX ON place (r);
		CREATE INDEX ON deviation (k);
	SQL
	fill 1 $((episodes / 2)) & fill $((episodes / 2 + 1)) "$episodes"
	wait $!
	printf 'inserted %d episodes\n' "$episodes"
	[[ $search == vector ]] || indexes=$(grep -v hnsw <<<"$indexes")
	# Parallel processes share /dev/shm; a single one has maintenance_work_mem.
	size=$(docker exec nexus-postgres df -Pm /dev/shm | awk 'END { print $4 }')
	if ((size < 3 * episodes / 1000)); then size="SET max_parallel_maintenance_workers = 0; SET maintenance_work_mem = '4GB'"; else size="SET max_parallel_maintenance_workers = 3; SET maintenance_work_mem = '$((size * 3 / 4))MB'"; fi
	{ printf 'ALTER TABLE %s SET (parallel_workers = 3);\n%s;\n' "$table" "$size" && echo "$indexes" && echo "ALTER TABLE $table RESET (parallel_workers);"; } | bench
	echo "built the indexes"
	bench --command="CREATE TABLE public.probe AS SELECT (row_number() OVER () - 1)::int AS n, embedding FROM $table WHERE \"timestamp\" > now() - interval '1 day' LIMIT 100"
	bench --command='VACUUM ANALYZE' --command='CHECKPOINT'
}
# NEXUS_BENCH_TABLE=kept uses the table of an earlier run that ended before its purge.
[[ ${NEXUS_BENCH_TABLE-} == kept ]] || make_the_table

# The load: searches and inserts in turn, with a pause, like a program.
case $search in
vector) query='SELECT episode_id FROM nexus_memory.zep_episodic_memory ORDER BY embedding <=> (SELECT embedding FROM probe WHERE n = :r % 100) LIMIT 10' ;;
words) query="SELECT episode_id FROM nexus_memory.zep_episodic_memory WHERE nexus_memory.episode_words(content) @@ nexus_memory.episode_query((:r)::text) ORDER BY \"timestamp\" DESC LIMIT 10" ;;
esac
printf '\\set r random(1, 1000000)\n%s;\n\\sleep 20 ms\n' "$query" >"$work/search.sql"
cat >"$work/insert.sql" <<'SQL'
\set r random(1, 1000000)
INSERT INTO nexus_memory.zep_episodic_memory (content, embedding) SELECT 'inserted', embedding FROM probe WHERE n = :r % 100;
\sleep 20 ms
SQL
docker exec -i nexus-postgres sh -c 'cat >/tmp/search.sql' <"$work/search.sql"
docker exec -i nexus-postgres sh -c 'cat >/tmp/insert.sql' <"$work/insert.sql"
# load KIND SECONDS NAME: runs it with pgbench, which logs each transaction.
load() { docker exec nexus-postgres pgbench --no-vacuum --file="/tmp/$1.sql" --time="$2" --log --log-prefix="/tmp/log-$1-$3" bench_purge >/dev/null 2>&1; }
# p95 KIND NAME [KEEP]: prints it in milliseconds, and removes the logs without KEEP. The log's third column is microseconds, with 20,000
# for the pause.
p95() { docker exec nexus-postgres sh -c "cat /tmp/log-$1-$2.*; [ -n '${3-}' ] || rm -f /tmp/log-$1-$2.*" | awk '{ print ($3 - 20000) / 1000 }' | sort -n | awk '{ v[NR] = $1 } END { printf "%.1f\n", v[int(NR * 0.95)] }'; }

# both SECONDS NAME: runs both loads at the same time.
both() {
	load search "$1" "$2" &
	local searching=$!
	load insert "$1" "$2"
	wait "$searching"
}
docker exec nexus-postgres sh -c 'rm -f /tmp/log-*'
both 10 warm
both 20 idle
nexus-purge --pg-database=bench_purge --purge-ledger="$work/ledger.jsonl" --redis-copies none --ttl 'bench=100d' --yes --json >"$work/done.json" 2>"$work/said" &
purge=$!
(while kill -0 "$purge" 2>/dev/null; do
	awk '/VmHWM/ { print $2 }' "/proc/$purge/status" 2>/dev/null >>"$work/peak" || true
	sleep 0.2
done) &
# Prints the purge's present phase, from the server, in one word.
phase() {
	bench -At --command="SELECT CASE WHEN query ~ '^REINDEX' THEN 'reindex' WHEN query ~ '^VACUUM' THEN 'vacuum' WHEN query ~ '^DELETE|^BEGIN|^COMMIT' THEN 'delete' WHEN query ~ 'UPDATE|ctid|get_raw' THEN 'overwrite' ELSE 'else' END
		FROM pg_stat_activity WHERE application_name = 'nexus-purge' ORDER BY state, query_start DESC LIMIT 1" | grep . || echo else
}
began=$SECONDS
phases=()
while kill -0 "$purge" 2>/dev/null; do
	name=$(phase)
	if [[ " ${phases[*]} " != *" $name "* ]]; then
		phases+=("$name")
		printf '%4d s: %s\n' $((SECONDS - began)) "$name"
	fi
	both 10 "busy-$name"
done
wait "$purge"
peak=$(sort -n "$work/peak" | tail -n 1)
declare -A times
# By phase first, because the p95 of the whole run removes the logs.
for name in "${phases[@]}"; do for kind in search insert; do times[$kind-$name]=$(p95 "$kind" "busy-$name" keep); done; done
for kind in search insert; do times[$kind-busy]=$(p95 "$kind" 'busy-*'); times[$kind-idle]=$(p95 "$kind" idle); p95 "$kind" warm >/dev/null; done
rows=$(jq .rows "$work/done.json")
jq -r --argjson peak "$peak" '"\(.rows) of \(.of) rows, deleted in \(.deleting_usec / 1e6 | floor) s at \(.rows * 1e6 / .deleting_usec | floor) rows/s, with vacuum \(.usec / 1e6 | floor) s; recall@10 \(.recall_before) % before, \(.recall_after) % after; largest resident size \($peak / 1024 | floor) MiB"' "$work/done.json"
printf '%-10s %12s %12s %8s\n' 'p95, ms' idle purging ratio
for kind in search insert; do
	for name in "${phases[@]}"; do printf '%-10s %12s %12.1f %s\n' "$kind" '' "${times[$kind-$name]}" "$name"; done
	awk -v k="$kind" -v a="${times[$kind-idle]}" -v b="${times[$kind-busy]}" 'BEGIN { printf "%-10s %12.1f %12.1f %8.2f\n", k, a, b, b / a }'
done
all_expired_are_gone() { same "rows purged" "$rows" $((episodes * share / 100)); }
memory_stays_below_64_mib() { ((peak < 64 * 1024)); }
# Below ten milliseconds nobody notices, and a busy core explains most of it.
p95_at_most_doubles() { awk -v a="${times[$1-idle]}" -v b="${times[$1-busy]}" 'BEGIN { exit !(b <= 2 * a || b < 10) }'; }
recall_stays() { [[ $search != vector ]] || jq -e '.recall_after + 5 >= .recall_before' "$work/done.json" >/dev/null; }
check all_expired_are_gone
check memory_stays_below_64_mib
if ((episodes >= 100000)); then
	check p95_at_most_doubles search
	check p95_at_most_doubles insert
fi
check recall_stays
report
