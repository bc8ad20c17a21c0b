"""Shared by all cases: the server, a small database, two sets."""

import os
import shutil
import tempfile

import jobs
from jobs.job import TOOLS
from world import sets
from world.machine import run
from world.server import Server

DATABASE = "fault_matrix"

CONTENTS = """
CREATE TABLE a_table AS SELECT i, repeat(md5(i::text), 8) AS text FROM generate_series(1, 2000) i;
CREATE INDEX ON a_table (i); CREATE INDEX ON a_table (text);
CREATE TABLE b_table AS SELECT generate_series(1, 10) AS i;
CREATE TABLE state AS SELECT 'of the set' AS name;
CREATE SEQUENCE a_sequence; SELECT nextval('a_sequence');
SELECT lo_from_bytea(0, convert_to(repeat('x', 10000), 'UTF8'));
"""

# Changes everything, so that no file of the second set equals one of the first.
OTHERWISE = """
UPDATE a_table SET text = text || 'otherwise'; UPDATE b_table SET i = i + 1; UPDATE state SET name = 'otherwise';
SELECT nextval('a_sequence'); SELECT lo_from_bytea(0, convert_to(repeat('y', 10000), 'UTF8'));
"""


# Enough vectors that building their index takes longer than all the rest.
VECTORS = """
CREATE EXTENSION vector;
CREATE TABLE v_table AS SELECT i, (SELECT array_agg(sin(i * j))::vector(128) FROM generate_series(1, 128) j) AS v FROM generate_series(1, 4000) i;
CREATE INDEX v_near ON v_table USING hnsw (v vector_cosine_ops);
"""


class Bench:
    """Set up once, removed at the end."""

    def __init__(self):
        # On a real disk, not in memory, because the cases test disks.
        self.directory = tempfile.mkdtemp(prefix="faults-", dir="/var/tmp")
        self.sets_dir = os.path.join(self.directory, "example")
        self.server = Server()
        self.jobs, self.made, self.stopped = {}, {}, []

    def __enter__(self):
        # Jobs that timers or nexus-health start would look like leftovers of a case.
        active = run("systemctl", "list-units", "--state=active", "--plain", "--no-legend", "nexus-*.timer", "nexus-health.service")
        self.stopped = [line.split()[0] for line in active.splitlines()]
        run("systemctl", "stop", *self.stopped, "nexus-backup.service", "nexus-restore-test.service", "nexus-purge.service")
        return self

    def __exit__(self, *_):
        if self.stopped:
            run("systemctl", "start", *self.stopped)
        for job in self.jobs.values():
            job.close()
        self.server.drop(*self.server.databases("fault_"))
        self.server.close()
        shutil.rmtree(self.directory)

    def job(self, name):
        if name not in self.jobs:
            self.jobs[name] = jobs.make(name, self)
        return self.jobs[name]

    def database(self):
        """Returns a small database with an object of each kind."""
        if DATABASE not in self.made:
            self.server.drop(*self.server.databases("fault_"))
            self.fill(DATABASE, CONTENTS)
        return DATABASE

    def with_vectors(self):
        """Returns the same database with a vector index."""
        name = "fault_vectors"
        if name not in self.made:
            self.database()
            self.fill(name, CONTENTS + VECTORS)
        return name

    def fill(self, name, contents):
        self.server.sql(f"CREATE DATABASE {name}")
        self.server.sql(contents, name)
        # After a crash before the next checkpoint, sequences may be up to 32 numbers ahead.
        self.server.sql("CHECKPOINT")
        self.server.leave(name)
        self.made[name] = True

    def example(self):
        """Returns a set of that database."""
        return self.set_of(self.database(), self.sets_dir)

    def example_with_vectors(self):
        """Returns a set of the database with a vector index."""
        return self.set_of(self.with_vectors(), os.path.join(self.directory, "vectors"))

    def other_example(self):
        """Returns a set of a database in which every row, object and sequence differs."""
        name = "fault_otherwise"
        if name not in self.made:
            self.fill(name, CONTENTS + OTHERWISE)
        # Another number, as in one directory.
        return self.set_of(name, os.path.join(self.directory, "other"), number=2)

    def set_of(self, database, directory, number=1):
        key = (database, directory)
        if key not in self.made:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            for _ in range(number):
                run("nexus-backup", f"--pg-database={database}", f"--backup-dir={directory}", "--redis=no",
                    f"--pg-dump={TOOLS}/pg_dump", f"--pg-dumpall={TOOLS}/pg_dumpall")
            self.made[key] = os.path.join(directory, sets.names(directory)[-1])
        return self.made[key]
