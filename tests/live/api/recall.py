#!/usr/bin/env python3
"""Promise: of the ten true neighbours of a vector, search finds 0.95 or more by default, also with a filter that keeps 1 % of the rows.

The true ones come from PostgreSQL without an index. usage: recall.py [ROWS].
"""

import random
import sys
import uuid

from client import Client, as_owner, expect, seed

TABLE = "nexus_memory.zep_episodic_memory"
QUERIES = 60


# Their squares add up to 1.
TOPIC, ALIKE, OWN = 0.40**0.5, 0.25**0.5, 0.35**0.5


def fill(agent, rows):
    """Inserts vectors that resemble embeddings, with random tags, one of a hundred. There are 300 topics, and groups of about eight similar
    rows; the spread along the axes and the mean are those of real embeddings, which mixture.rs of nexus-bench names."""
    as_owner(f"""SELECT setseed(0.42) \\g /dev/null
        CREATE TEMP TABLE axis AS SELECT k, sqrt(v / sum(v) OVER ()) AS deviation
            FROM (SELECT k, k ^ -0.55 * exp(-((k / 250.0::float8) ^ 2.5)) AS v FROM generate_series(1, 384) k) variance;
        CREATE TEMP TABLE topic AS SELECT n, array_agg(deviation * random_normal() ORDER BY k) AS v FROM generate_series(0, 299) n, axis GROUP BY n;
        CREATE TEMP TABLE alike AS SELECT n, array_agg(deviation * random_normal() ORDER BY k) AS v FROM generate_series(0, {rows // 8}) n, axis GROUP BY n;
        ANALYZE topic, alike;
        INSERT INTO {TABLE} (agent_id, content, tags, embedding, embedding_version, metadata)
        SELECT '{agent}', 'row ' || i, ARRAY['t' || floor(random() * 100)],
            (SELECT l2_normalize(array_agg((CASE k WHEN 1 THEN 0.29 ELSE 0 END + {TOPIC} * t + {ALIKE} * a
                    + {OWN} * deviation * random_normal())::real ORDER BY k)::public.vector)
                FROM unnest(topic.v, alike.v) WITH ORDINALITY AS of_both (t, a, k) JOIN axis USING (k)), 'given', '{{"action_type": "recall"}}'
        FROM (SELECT i, floor(random() * {rows // 8})::int AS one FROM generate_series(1, {rows}) i) row
            JOIN alike ON alike.n = one JOIN topic ON topic.n = one % 300;
        ANALYZE {TABLE}""")


def nearest(agent, vector, tag):
    """Returns the ten true ones, in a transaction that uses no vector index."""
    only = f"AND tags @> ARRAY['{tag}']" if tag else ""
    return {row[0] for row in as_owner(f"""BEGIN; SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off;
        SELECT episode_id FROM {TABLE} WHERE agent_id = '{agent}' {only} ORDER BY embedding <=> '{vector}' LIMIT 10; COMMIT""")}


def recall(client, agent, queries, rng, filtered):
    """Returns the share of the true ones that a search finds."""
    found = wanted = 0
    for vector in queries:
        tag = f"t{rng.randrange(100)}" if filtered else None
        true = nearest(agent, vector, tag)
        expect(len(true) == 10, f"only {len(true)} rows have the tag {tag}")
        body = {"query": "x", "mode": "vector", "limit": 10, "min_similarity": 0, "embedding": [float(number) for number in vector[1:-1].split(",")]}
        answer = client.post("/memory/search", body | ({"tags": [tag]} if tag else {}))
        expect(answer.status == 200, f"a search was answered with {answer}")
        got = {one["episode_id"] for one in answer.json()["results"]}
        expect(len(got) == 10, f"{len(got)} results instead of 10")
        found += len(true & got)
        wanted += 10
    return found / wanted


def main():
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    rng = random.Random(seed())
    agent = f"recall-{uuid.uuid4().hex[:8]}"
    client = Client(agent)
    try:
        fill(agent, rows + QUERIES)
        # Real queries are rarely stored texts, so these were made with the others and deleted.
        queries = [row[0] for row in as_owner(f"""DELETE FROM {TABLE} WHERE agent_id = '{agent}' AND substr(content, 5)::int > {rows}
            RETURNING embedding""")]
        expect(len(queries) == QUERIES, f"{len(queries)} queries")
        plain, filtered = (recall(client, agent, queries, rng, how) for how in (False, True))
    finally:
        as_owner(f"DELETE FROM {TABLE} WHERE agent_id = '{agent}'")
    print(f"{rows} rows, {QUERIES} searches: recall@10 {plain:.3f}, with a filter that keeps 1 % {filtered:.3f}")
    expect(plain >= 0.95 and filtered >= 0.95, "less than 0.95")


if __name__ == "__main__":
    main()
