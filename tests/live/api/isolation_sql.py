#!/usr/bin/env python3
"""Promise: also by SQL with the API's role, an agent never sees, changes or removes episodes of another.

Runs random statements in one session of nexus_app, as both agents in turn: usage isolation_sql.py [STATEMENTS].
"""

import os
import random
import re
import subprocess
import sys
import tempfile
import uuid

from client import as_owner, expect, seed

TABLE = "nexus_memory.zep_episodic_memory"
SECRET = {"ana": "zafiroana", "ben": "obsidianben"}
OTHER = {"ana": "ben", "ben": "ana"}


def as_program(script):
    """Runs psql as nexus_app, without stopping at errors; returns output and errors together."""
    with open("/etc/nexus/credentials/nexus_app_password", encoding="ascii") as file:
        password = file.read().strip()
    with tempfile.NamedTemporaryFile("w", encoding="ascii") as passwords:
        os.chmod(passwords.name, 0o600)
        passwords.write(f"*:*:*:nexus_app:{password}\n")
        passwords.flush()
        done = subprocess.run(["psql", "-XAtq", "--host=/run/nexus/postgres", "--username=nexus_app", "--dbname=nexus"], input=script, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, "PGPASSFILE": passwords.name}, check=False)
    return done.stdout


def tables_of_the_role():
    """Returns every table of the schema that the role can read and that has agents."""
    return [row[0] for row in as_owner("""SELECT c.oid::regclass FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'agent_id'
        WHERE c.relnamespace = 'nexus_memory'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm') AND has_table_privilege('nexus_app', c.oid, 'SELECT')""")]


def statements(rng, agents, ids, tables):
    """Yields (statement, pattern of its answer or None) as one agent, about the other's rows."""
    def vector():
        return "'[" + ",".join(f"{rng.gauss(0, 1):.4f}" for _ in range(384)) + "]'"

    def one(agent):
        other = OTHER[agent]
        theirs, own = rng.choice(ids[other]), rng.choice(ids[agent])
        table = rng.choice(tables)
        return rng.choice([
            (f"SELECT * FROM {table}", None),
            (f"SELECT count(*) FROM {TABLE} WHERE content ~ '{SECRET[other]}'", "^0$"),
            (f"SELECT count(*) FROM {TABLE}", f"^{len(ids[agent])}$"),
            (f"SELECT content FROM {TABLE} WHERE episode_id = '{theirs}'", "^$"),
            (f"SELECT content FROM {TABLE} WHERE episode_id = '{own}'", SECRET[agent]),
            (f"SELECT content FROM {TABLE} ORDER BY embedding <=> {vector()} LIMIT {rng.randint(1, 200)}", None),
            (f"SELECT content FROM {TABLE} WHERE nexus_memory.episode_words(content) @@ nexus_memory.episode_query('{rng.choice(['harbour', SECRET[other]])}')", None),
            (f"SELECT max(content), min(content), string_agg(agent_id, ',') FROM {TABLE}", None),
            (f"SELECT content FROM {TABLE} WHERE agent_id = '{agents[other]}'", "^$"),
            (f"COPY {TABLE} (content) TO STDOUT", None),
            (f"COPY (SELECT * FROM {table}) TO STDOUT", None),
            (f"UPDATE {TABLE} SET content = 'taken' WHERE episode_id = '{theirs}' RETURNING content", "^$|permission denied"),
            (f"UPDATE {TABLE} SET agent_id = '{agents[other]}' WHERE episode_id = '{own}'", "row-level security"),
            (f"DELETE FROM {TABLE} WHERE episode_id = '{theirs}' RETURNING content", "^$|permission denied"),
            (f"INSERT INTO {TABLE} (content, agent_id) VALUES ('put', '{agents[other]}')", "row-level security"),
            (f"INSERT INTO {TABLE} (episode_id, content, agent_id) VALUES ('{theirs}', 'mine', '{agents[agent]}') ON CONFLICT (episode_id) DO UPDATE SET content = 'taken' RETURNING content", "row-level security"),
            (f"INSERT INTO {TABLE} (episode_id, content, agent_id) VALUES ('{theirs}', 'mine', '{agents[agent]}') ON CONFLICT DO NOTHING RETURNING content", "^$|permission denied"),
            # A leaking function that claims to be cheap must not run before the policy.
            (f"SELECT count(*) FROM {TABLE} WHERE pg_temp.tell(content)", None),
            (f"SELECT count(*) FROM {TABLE} WHERE content::integer = 0", "invalid input syntax"),
            (f"SELECT most_common_vals, histogram_bounds FROM pg_stats WHERE tablename = 'zep_episodic_memory'", None),
            (f"TRUNCATE {TABLE}", "permission denied"),
            (f"ALTER TABLE {TABLE} DISABLE ROW LEVEL SECURITY", "must be owner"),
            ("SET row_security = off; SELECT content FROM nexus_memory.zep_episodic_memory; SET row_security = on", "would be affected by row-level security"),
            ("SET ROLE postgres", "permission denied"),
        ])
    return one


def main():
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    rng = random.Random(seed())
    run = uuid.uuid4().hex[:8]
    agents = {name: f"{name}-sql-{run}" for name in SECRET}
    for name, agent in agents.items():
        as_owner(f"""INSERT INTO {TABLE} (content, agent_id, tags, embedding)
            SELECT '{SECRET[name]} harbour ' || i, '{agent}', ARRAY['shared'], (SELECT array_agg((random() - 0.5)::real) FROM generate_series(1, 384) WHERE i > 0)::public.vector FROM generate_series(1, 100) i""")
    ids = {name: [row[0] for row in as_owner(f"SELECT episode_id FROM {TABLE} WHERE agent_id = '{agent}'")] for name, agent in agents.items()}
    # A used idempotency key, too, if the API stores them.
    if as_owner("SELECT to_regclass('nexus_memory.api_idempotency') IS NOT NULL") == [["t"]]:
        for name, agent in agents.items():
            as_owner(f"INSERT INTO nexus_memory.api_idempotency (agent_id, key, fingerprint, episode_ids) VALUES ('{agent}', '{SECRET[name]}', '\\x00', ARRAY['{ids[name][0]}'::uuid])")
    held = f"SELECT agent_id, count(*), md5(string_agg(t::text, '' ORDER BY episode_id)) FROM {TABLE} t WHERE agent_id IN ('{agents['ana']}', '{agents['ben']}') GROUP BY 1 ORDER BY 1"
    before = as_owner(held)

    one = statements(rng, agents, ids, tables_of_the_role())
    script, wanted = ["CREATE FUNCTION pg_temp.tell(t text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$ BEGIN RAISE NOTICE '%', t; RETURN true; END $$;"], []
    for i in range(number):
        name = rng.choice(list(SECRET))
        statement, pattern = one(name)
        wanted.append((name, statement, pattern))
        script.append(f"SET nexus.agent_id = '{agents[name]}';\n\\echo @@{i}\n{statement};")
    script.append("SET nexus.agent_id = ''; \\echo @@empty\nSELECT * FROM nexus_memory.zep_episodic_memory;")
    said = re.split(r"^@@\w+\n", as_program("\n".join(script)), flags=re.MULTILINE)[1:]
    expect(len(said) == number + 1, f"{len(said)} answers to {number + 1} statements")
    for (name, statement, pattern), answer in zip(wanted, said):
        expect(SECRET[OTHER[name]] not in answer.replace(statement, ""), f"{name} was shown words of {OTHER[name]} by: {statement}")
        expect(not any(episode in answer and episode not in statement for episode in ids[OTHER[name]]), f"{name} was shown an episode of {OTHER[name]} by: {statement}")
        expect(pattern is None or re.search(pattern, answer.strip()), f'"{statement}" was answered with "{answer[:300]}" and not with {pattern}')
    expect(said[-1].strip() == "", f"the empty agent sees {said[-1][:200]}")
    expect(as_owner(held) == before, "rows were changed")
    as_owner(f"DELETE FROM {TABLE} WHERE agent_id IN ('{agents['ana']}', '{agents['ben']}')")
    print(f"{number} statements, none showed or changed the other's rows")


if __name__ == "__main__":
    main()
