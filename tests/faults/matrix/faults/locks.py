"""Another session holds, or waits for, an exclusive lock on a table that the job needs."""

import contextlib
import os
import subprocess
import time

from world.machine import PATIENCE, processes
from world.server import HOST

# Seconds. A job gives up earlier: nexus-backup after four tries.
LIMIT = 300
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid <> pg_backend_pid()"


def held(job, row, case):
    """`step` says when the session requests the lock: `before` the job, or once a `snapshot` or `pg_dump` exists. Then it waits for the
    job's own locks, and later sessions queue behind it. `argument`: `released` once the job waits for it, `kept` until the job has
    ended, or `queued`: released as soon as it is granted, like an ALTER TABLE."""
    table = case.rng.choice(job.tables)
    session = None
    try:
        if row.step == "before":
            session = Lock(job, table)
            session.await_granted()
        running = job.start()
        if row.step != "before":
            running.wait_for(lambda: MOMENTS[row.step](job))
            struck = running.hold()
            session = Lock(job, table, "COMMIT;")
            session.await_asked()
            running.go_on()
        else:
            struck = True
        end = time.monotonic() + LIMIT
        if row.argument == "released" and row.step == "before":
            running.wait_for(lambda: job.server.sql(WAITING) != ["0"] or time.monotonic() > end)
            session.let_go()
        return running.end(f"{table} is locked", struck, LIMIT)
    finally:
        if session:
            session.let_go()


class Lock:
    """A session that requests ACCESS EXCLUSIVE and keeps it, or runs `then` once it has it."""

    def __init__(self, job, table, then=""):
        self.job, self.table = job, table
        self.psql = subprocess.Popen(
            ["psql", "-XAtq", f"--host={HOST}", "--username=postgres", f"--dbname={job.database}"], stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, "PGPASSFILE": job.server.passfile, "PGAPPNAME": "a person"})
        self.psql.stdin.write(f"BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE; {then}\n")
        self.psql.stdin.flush()

    def is_there(self, how):
        return self.job.server.sql("SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE mode = 'AccessExclusiveLock'"
                                   f" AND locktype = 'relation' AND application_name = 'a person' AND {how}") != ["0"]

    def await_granted(self):
        self.wait_until("granted")

    def await_asked(self):
        self.wait_until("true")

    def wait_until(self, how):
        end = time.monotonic() + PATIENCE
        while not self.is_there(how):
            assert self.psql.poll() is None and time.monotonic() < end, f"cannot get the lock on {self.table}"
            time.sleep(0.005)

    def let_go(self):
        with contextlib.suppress(BrokenPipeError, ValueError):
            self.psql.stdin.close()
        if self.is_there("true"):
            self.job.server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'a person'")
        self.psql.wait(PATIENCE)


def exports(job):
    return bool(job.server.sql("SELECT 1 FROM pg_stat_activity WHERE application_name ~ '^nexus-' AND state = 'idle in transaction'"))


MOMENTS = {"snapshot": exports, "pg_dump": lambda job: bool(processes({"pg_dump"}))}
