#!/usr/bin/env bash
# A purge of a large table while programs search and insert, inside an installed machine, on a database of its own: rows per
# second, memory, and the p95 of search and insert while it runs against the same just before, in one run. Prints a table. It
# fails when nexus-purge needs more than 64 MiB or a p95 more than doubles.
# usage: purge-bench.sh [EPISODES [PERCENT_EXPIRED [vector|words]]]
set -euo pipefail
shopt -s inherit_errexit
# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/checks.sh"

episodes=${1:-20000}
share=${2:-30}
# vector, or words: for so many rows that building the vector index would take longer than one wants to wait.
search=${3:-vector}
work=$(mktemp -d)
trap 'rm -rf "$work"; docker exec nexus-postgres dropdb --if-exists --force bench_purge' EXIT

docker exec nexus-postgres dropdb --if-exists --force bench_purge
docker exec nexus-postgres createdb bench_purge
docker exec --env NEXUS_PG_DATABASE=bench_purge nexus-postgres bash /nexus/migrate.sh
bench() { docker exec -i nexus-postgres psql -Xq --set=ON_ERROR_STOP=1 --dbname=bench_purge "$@"; }

# Vectors with structure: a hundred directions, each row near one of them. The oldest are the first, as in a table that has grown.
bench --set=n="$episodes" --set=share="$share" <<'SQL'
DROP INDEX nexus_memory.zep_embedding_hnsw;
SELECT setseed(0.42) \g /dev/null
CREATE TEMP TABLE direction AS SELECT c, array_agg(random() - 0.5) AS v FROM generate_series(0, 99) c, generate_series(1, 384) GROUP BY c;
CREATE TEMP TABLE near AS SELECT row_number() OVER () AS r, (SELECT l2_normalize(array_agg((d + 0.5 * (random() - 0.5))::real)::public.vector) FROM unnest(v) d WHERE k > 0) AS e
	FROM direction, generate_series(1, 50) k;
INSERT INTO nexus_memory.zep_episodic_memory ("timestamp", content, tags, embedding, metadata)
SELECT CASE WHEN i <= :n * :share / 100 THEN now() - interval '200 days' ELSE now() END, 'episode ' || i || ' ' || md5(i::text), ARRAY['c' || i % 100],
	(e + (SELECT array_agg(((hashint4(i * 7 + j) % 1000) / 20000.0)::real) FROM generate_series(1, 384) j)::public.vector), '{"action_type": "bench"}'
FROM generate_series(1, :n) i JOIN near ON r = 1 + i % 5000;
SQL
printf 'inserted %d episodes\n' "$episodes"
# One process builds it in its own memory; in shared memory only as much would fit as the container has there.
if [[ $search == vector ]]; then
	bench --command="SET maintenance_work_mem = '2GB'" --command='SET max_parallel_maintenance_workers = 0' \
		--command='CREATE INDEX zep_embedding_hnsw ON nexus_memory.zep_episodic_memory USING hnsw (embedding public.vector_cosine_ops)'
	echo "built the index"
fi
bench --command='VACUUM ANALYZE' --command='CHECKPOINT'

# load SECONDS FILE: searches and inserts, one after the other, with a pause, as a program does; milliseconds of each in FILE.
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
bench --command="CREATE TABLE public.probe AS SELECT (row_number() OVER () - 1)::int AS n, embedding FROM nexus_memory.zep_episodic_memory WHERE \"timestamp\" > now() - interval '1 day' LIMIT 100"
docker exec -i nexus-postgres sh -c 'cat >/tmp/search.sql' <"$work/search.sql"
docker exec -i nexus-postgres sh -c 'cat >/tmp/insert.sql' <"$work/insert.sql"
# p95 KIND FILE: in milliseconds.
load() { docker exec nexus-postgres pgbench --no-vacuum --file="/tmp/$1.sql" --time="$2" --log --log-prefix="/tmp/log-$1-$3" bench_purge >/dev/null 2>&1; }
# The log's third column is microseconds, of which 20,000 are the pause.
p95() { docker exec nexus-postgres sh -c "cat /tmp/log-$1-$2.*; rm -f /tmp/log-$1-$2.*" | awk '{ print ($3 - 20000) / 1000 }' | sort -n | awk '{ v[NR] = $1 } END { printf "%.1f\n", v[int(NR * 0.95)] }'; }

# both SECONDS NAME
both() {
	load search "$1" "$2" &
	local searching=$!
	load insert "$1" "$2"
	wait "$searching"
}
both 5 warm
both 20 idle
nexus-purge --pg-database=bench_purge --purge-ledger="$work/ledger.jsonl" --redis-copies none --ttl 'bench=100d' --yes --json >"$work/done.json" 2>"$work/said" &
purge=$!
(while kill -0 "$purge" 2>/dev/null; do
	awk '/VmHWM/ { print $2 }' "/proc/$purge/status" 2>/dev/null >>"$work/peak" || true
	sleep 0.2
done) &
both "$(( episodes / 20000 > 20 ? episodes / 20000 : 20 ))" busy
wait "$purge"
peak=$(sort -n "$work/peak" | tail -n 1)
declare -A times
for name in idle busy; do for kind in search insert; do times[$kind-$name]=$(p95 "$kind" "$name"); done; done
for kind in search insert; do p95 "$kind" warm >/dev/null; done
rows=$(jq .rows "$work/done.json")
jq -r --argjson peak "$peak" '"\(.rows) of \(.of) rows, deleted in \(.deleting_usec / 1e6 | floor) s at \(.rows * 1e6 / .deleting_usec | floor) rows/s, with vacuum \(.usec / 1e6 | floor) s; recall@10 \(.recall_before) % before, \(.recall_after) % after; largest resident size \($peak / 1024 | floor) MiB"' "$work/done.json"
printf '%-10s %12s %12s %8s\n' 'p95, ms' idle purging ratio
for kind in search insert; do
	awk -v k="$kind" -v a="${times[$kind-idle]}" -v b="${times[$kind-busy]}" 'BEGIN { printf "%-10s %12.1f %12.1f %8.2f\n", k, a, b, b / a }'
done
all_expired_are_gone() { same "rows purged" "$rows" $((episodes * share / 100)); }
memory_stays_below_64_mib() { ((peak < 64 * 1024)); }
# Below ten milliseconds nobody waits: there a busy core is most of it.
p95_at_most_doubles() { awk -v a="${times[$1-idle]}" -v b="${times[$1-busy]}" 'BEGIN { exit !(b <= 2 * a || b < 10) }'; }
recall_stays() { [[ $search != vector ]] || jq -e '.recall_after + 5 >= .recall_before' "$work/done.json" >/dev/null; }
check all_expired_are_gone
check memory_stays_below_64_mib
check p95_at_most_doubles search
check p95_at_most_doubles insert
check recall_stays
report
