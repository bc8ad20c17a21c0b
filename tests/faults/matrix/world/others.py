"""Other sessions that change thirty tables in every way (world/schedule.sql) while a job works."""

import contextlib
import os
import random
import subprocess
import threading

from world.machine import PATIENCE
from world.server import HOST

END = "-- done --"
# Pauses between two changes of a session, in parts of the job's time, so that the job sees a few changes and often completes.
RESTS = [0, 0.1, 0.5, 1.5, 3]
PLAIN = [f"t{number:02}" for number in range(20)]
LEAVES = [f"t{number:02}" for number in range(20, 28)]
# Unused ids, in a separate million for each table.
NEW = "{i} * 1000000 + (random() * 999999)::int"

ROWS = "SELECT " + NEW + ", j, 'glad', repeat(md5(random()::text), 1 + j % 5) FROM generate_series(1, {many}) j"


def changed(tables, text, rng):
    """Returns a transaction that changes these tables, may pause before its end, and records their content."""
    names = ", ".join(f"'{table}'" for table in sorted(tables))
    rests = f"SELECT pg_sleep({rng.choice([0, 0, 0.01, 0.05, 0.2])})"
    return (f"BEGIN; SELECT FROM truth WHERE name IN ({names}) ORDER BY name FOR UPDATE; {text}; {rests}; "
            f"SELECT note({names}); COMMIT; ROLLBACK")


def rows(table, rng):
    return ROWS.format(i=int(table[1:]), many=rng.randint(1, 60))


def write(rng):
    table = rng.choice(PLAIN + LEAVES + ["t28", "t29"])
    add = f"INSERT INTO {table} (id, n, mood, text) {rows(table, rng)}"
    if table == "t29":
        return changed([table], add, rng)
    part = f"id % {rng.randint(2, 9)} = 0"
    return changed([table], rng.choice([add, f"UPDATE {table} SET text = md5(text) WHERE {part}", f"DELETE FROM {table} WHERE {part}; {add}"]), rng)


def truncate(rng):
    table = rng.choice(PLAIN + LEAVES)
    again = f"; INSERT INTO {table} (id, n, mood, text) {rows(table, rng)}" if rng.random() < 0.8 else ""
    return changed([table], f"TRUNCATE {table}{again}", rng)


def rewrite(rng):
    table = rng.choice(PLAIN)
    return rng.choice([
        lambda: changed([table], f"ALTER TABLE {table} ALTER n TYPE {rng.choice(['bigint', 'integer', 'bigint USING n + 1'])}", rng),
        lambda: changed([table], f"ALTER TABLE {table} SET {rng.choice(['UNLOGGED', 'LOGGED'])}", rng),
        lambda: f"VACUUM FULL {table}",
        lambda: f"CLUSTER {table} USING {table}_id_idx",
    ])()


def columns(rng):
    table, column = rng.choice(PLAIN), f"c{rng.randint(1, 4)}"
    return changed([table], rng.choice([
        f"ALTER TABLE {table} ADD {column} integer DEFAULT (random() * 9)::integer", f"ALTER TABLE {table} ADD {column} text DEFAULT 'x'",
        f"ALTER TABLE {table} DROP {column}", f"ALTER TABLE {table} RENAME {column} TO c9", f"ALTER TABLE {table} DROP c9"]), rng)


def rename(rng):
    one, other = rng.sample(PLAIN, 2)
    return changed([one, other], f"ALTER TABLE {one} RENAME TO between; ALTER TABLE {other} RENAME TO {one}; ALTER TABLE between RENAME TO {other}", rng)


def drop(rng):
    table = rng.choice(PLAIN)
    create = f"CREATE TABLE {table} (id bigint NOT NULL, n integer, mood mood, text text); INSERT INTO {table} {rows(table, rng)}"
    return changed([table], f"DROP TABLE IF EXISTS {table}" + (f"; {create}" if rng.random() < 0.7 else ""), rng)


def partition(rng):
    table, number = (leaf := rng.choice(LEAVES)), int(leaf[1:])
    attach = f"ALTER TABLE parted ATTACH PARTITION {table} FOR VALUES FROM ({number} * 1000000) TO ({number + 1} * 1000000)"
    detach = f"ALTER TABLE parted DETACH PARTITION {table}"
    return rng.choice([lambda: changed([table], attach.replace(" * 1000000", "000000"), rng), lambda: changed([table], detach, rng),
                       lambda: f"{detach} CONCURRENTLY", lambda: f"{detach} FINALIZE"])()


def enum(rng):
    return f"ALTER TYPE mood ADD VALUE IF NOT EXISTS 'mood {rng.randint(1, 500)}'"


def index(rng):
    table = rng.choice(PLAIN + LEAVES + ["t29"])
    name = f"also_{table}"
    return rng.choice([f"CREATE INDEX CONCURRENTLY {name} ON {table} (text)", f"DROP INDEX CONCURRENTLY IF EXISTS {name}",
                       f"REINDEX TABLE CONCURRENTLY {table}", f"CREATE INDEX ON {table} (n)"])


def refresh(rng):
    return f"REFRESH MATERIALIZED VIEW {rng.choice(['', 'CONCURRENTLY '])}seen"


def objects(rng):
    name = f"object_{rng.randint(1, 5)}"
    return rng.choice([
        f"CREATE SCHEMA {name}; CREATE VIEW {name}.v AS SELECT count(*) FROM t29", f"DROP SCHEMA IF EXISTS {name} CASCADE",
        f"CREATE OR REPLACE FUNCTION {name}() RETURNS int LANGUAGE sql AS 'SELECT {rng.randint(1, 99)}'", f"DROP FUNCTION IF EXISTS {name}()",
        f"SELECT setval('turns', {rng.randint(1, 1000)})", "SELECT nextval('turns') FROM generate_series(1, 50)",
        f"SELECT lo_from_bytea(0, '{name}')", "GRANT SELECT ON t29 TO nexus_app", "REVOKE SELECT ON t29 FROM nexus_app"])


KINDS = {"write": write, "truncate": truncate, "rewrite": rewrite, "columns": columns, "rename": rename, "drop": drop, "partition": partition,
         "enum": enum, "index": index, "refresh": refresh, "objects": objects}


def of_a_database(rng):
    """Returns changes that do not touch the rows that the checks compare."""
    name = f"other_{rng.randint(1, 5)}"
    return rng.choice([
        f"CREATE TABLE {name} AS SELECT generate_series(1, {rng.randint(1, 500)}) i", f"DROP TABLE IF EXISTS {name}", f"TRUNCATE {name}",
        f"ALTER TABLE {name} ALTER i TYPE bigint", f"ALTER TABLE {name} RENAME TO other_{rng.randint(1, 5)}", f"VACUUM FULL {name}",
        f"CREATE INDEX CONCURRENTLY ON {name} (i)", f"CREATE SCHEMA {name}; CREATE TABLE {name}.t (i int)", f"DROP SCHEMA IF EXISTS {name} CASCADE",
        f"CREATE TYPE {name}_t AS ENUM ('a')", f"ALTER TYPE {name}_t ADD VALUE 'v{rng.randint(1, 99)}'", f"DROP TYPE IF EXISTS {name}_t"])


def of_episodes(rng):
    """Returns changes of the purged table."""
    return rng.choice([
        "ALTER TABLE episode ADD also integer DEFAULT 1", "ALTER TABLE episode DROP IF EXISTS also", "VACUUM FULL episode",
        "ALTER TABLE episode ALTER text TYPE varchar", "ALTER TABLE episode ALTER text TYPE text",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS also_kind ON episode (kind)", "DROP INDEX CONCURRENTLY IF EXISTS also_kind",
        "BEGIN; LOCK episode; SELECT pg_sleep(0.1); COMMIT", "BEGIN; ALTER TABLE episode RENAME TO away; SELECT pg_sleep(0.1); ROLLBACK",
        "BEGIN; SELECT FROM episode WHERE kind = 'goes' FOR UPDATE; SELECT pg_sleep(0.1); COMMIT", "ALTER TABLE episode SET UNLOGGED",
        "ALTER TABLE episode SET LOGGED", "ANALYZE episode", "REINDEX TABLE CONCURRENTLY episode"])


BESIDE = {"database": [of_a_database], "episodes": [of_episodes, of_a_database]}


class Others:
    """Some sessions, each with its own random numbers. Ignores statements that the server refuses, as may happen to any session."""

    def __init__(self, server, database, kind, rng, sessions=3, pace=0.1):
        self.server, self.database, self.pace, self.over = server, database, pace, threading.Event()
        self.calm = threading.Event()
        # Sessions that change definitions also write rows.
        self.kinds = list(KINDS.values()) if kind == "mixed" else BESIDE.get(kind) or [KINDS[kind], KINDS[kind], write]
        self.done, self.threads = 0, [
            threading.Thread(target=self.work, args=(random.Random(rng.random()),), daemon=True) for _ in range(sessions)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        for thread in self.threads:
            thread.join(PATIENCE)
            assert not thread.is_alive(), "another session does not end"

    def work(self, rng):
        psql = self.session()
        while not self.over.is_set():
            if self.calm.is_set():
                self.over.wait(0.1)
            elif self.asked(psql, rng.choice(self.kinds)(rng)):
                self.done += 1
                # The pace of the others is part of the case, not a wait for a condition.
                self.over.wait(rng.choice(RESTS) * self.pace)
            else:
                # Its session was ended, or no database has that name for a moment.
                psql.wait(PATIENCE)
                self.over.wait(0.02)
                psql = self.session()
        with contextlib.suppress(BrokenPipeError):
            psql.stdin.close()
        psql.wait(PATIENCE)

    def asked(self, psql, sql):
        """Runs the statements; returns whether the session survived them."""
        with contextlib.suppress(BrokenPipeError):
            psql.stdin.write(f"{sql};\n\\echo {END}\n")
            psql.stdin.flush()
        return any(line.strip() == END for line in psql.stdout)

    def session(self):
        return subprocess.Popen(
            ["stdbuf", "--output=L", "psql", "-XAtq", f"--host={HOST}", "--username=postgres", f"--dbname={self.database}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, "PGPASSFILE": self.server.passfile, "PGOPTIONS": "-c statement_timeout=100s -c client_min_messages=warning"})
