#!/usr/bin/env python3
"""Promise: of the ten true neighbours of a vector, search finds 0.95 or more by default, also where a filter keeps 1 % of the rows.

The true ones are PostgreSQL's own, without an index. usage: recall.py [ROWS].
"""

import random
import sys
import uuid

from client import Client, as_owner, expect, seed

TABLE = "nexus_memory.zep_episodic_memory"
QUERIES = 60


def fill(agent, rows):
    """Vectors with structure, as embeddings have it: a hundred directions, each row near one of them; a hundred tags, by chance."""
    as_owner(f"""SELECT setseed(0.42) \\g /dev/null
        CREATE TEMP TABLE direction AS SELECT c, array_agg(random() - 0.5) AS v FROM generate_series(0, 99) c, generate_series(1, 384) GROUP BY c;
        INSERT INTO {TABLE} (agent_id, content, tags, embedding, embedding_version, metadata)
        SELECT '{agent}', 'row ' || i, ARRAY['t' || floor(random() * 100)],
            (SELECT l2_normalize(array_agg((d + 0.6 * (random() - 0.5))::real)::public.vector) FROM unnest(v) d), 'given', '{{"action_type": "recall"}}'
        FROM generate_series(1, {rows}) i JOIN direction ON c = i % 100;
        ANALYZE {TABLE}""")


def nearest(agent, vector, tag):
    """The ten true ones, in a transaction that uses no index of vectors."""
    only = f"AND tags @> ARRAY['{tag}']" if tag else ""
    return {row[0] for row in as_owner(f"""BEGIN; SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off;
        SELECT episode_id FROM {TABLE} WHERE agent_id = '{agent}' {only} ORDER BY embedding <=> '{vector}' LIMIT 10; COMMIT""")}


def recall(client, agent, queries, rng, filtered):
    """The share of the true ones that is found."""
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
        fill(agent, rows)
        # Near a row, and not one: what is asked is seldom what is stored.
        queries = [row[0] for row in as_owner(f"""SELECT l2_normalize((SELECT array_agg((x + 0.02 * (random() - 0.5))::real) FROM unnest(embedding::real[]) x)::public.vector)
            FROM {TABLE} WHERE agent_id = '{agent}' ORDER BY episode_id LIMIT {QUERIES}""")]
        plain, filtered = (recall(client, agent, queries, rng, how) for how in (False, True))
    finally:
        as_owner(f"DELETE FROM {TABLE} WHERE agent_id = '{agent}'")
    print(f"{rows} rows, {QUERIES} searches: recall@10 {plain:.3f}, with a filter that keeps 1 % {filtered:.3f}")
    expect(plain >= 0.95 and filtered >= 0.95, "less than 0.95")


if __name__ == "__main__":
    main()
