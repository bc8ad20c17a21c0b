"""The PostgreSQL that the jobs use, queried over one lasting psql session."""

import contextlib
import os
import select
import shutil
import subprocess
import tempfile

from world import docker
from world.machine import PATIENCE, await_that, run

HOST = "/run/nexus/postgres"
END = "-- that was the answer --"

# Also undoes what the cases set for all sessions.
TIMEOUTS = ["statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout", "transaction_timeout"]
NO_LIMITS = [f"-c {name}=0" for name in TIMEOUTS]

LEFT = """SELECT pid || ' ' || application_name || ' ' || left(query, 60) FROM pg_stat_activity
 WHERE application_name ~ '^(nexus-|pg_dump|pg_restore)'
 UNION ALL SELECT 'advisory lock of ' || pid FROM pg_locks WHERE locktype = 'advisory'"""


class Server:
    """Sessions by database; opens a broken one again."""

    def __init__(self):
        self.home = tempfile.mkdtemp(prefix="faults-")
        self.passfile = os.path.join(self.home, "pgpass")
        shutil.copy("/etc/nexus/credentials/postgres_pgpass", self.passfile)
        os.chmod(self.passfile, 0o600)
        self.open = {}

    def sql(self, text, database="postgres"):
        """Returns the rows of one or more statements, as lines."""
        session = self.session(database)
        try:
            session.stdin.write(f"{text};\n\\echo {END}\n".encode())
            session.stdin.flush()
        except BrokenPipeError:
            pass
        answer = b""
        while not answer.endswith(f"{END}\n".encode()):
            ready, _, _ = select.select([session.stdout], [], [], PATIENCE)
            more = os.read(session.stdout.fileno(), 1 << 16) if ready else b""
            if not more:
                self.leave(database)
                raise ConnectionError(f"psql in {database}: {answer.decode().strip() or 'no answer'}")
            answer += more
        return answer.decode().splitlines()[:-1]

    def session(self, database):
        if database not in self.open:
            # stdbuf: psql buffers its output to a pipe.
            self.open[database] = subprocess.Popen(
                ["stdbuf", "--output=L", "psql", "-XAtq", "--set=ON_ERROR_STOP=1", f"--host={HOST}", "--username=postgres",
                 f"--dbname={database}"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                env={**os.environ, "PGPASSFILE": self.passfile, "PGOPTIONS": " ".join(["-c client_min_messages=warning", *NO_LIMITS])})
        return self.open[database]

    def leave(self, *databases):
        """Ends the sessions in these databases, so that they can be renamed and dropped."""
        for database in databases:
            session = self.open.pop(database, None)
            if session:
                with contextlib.suppress(BrokenPipeError):
                    session.stdin.close()
                session.stdout.close()
                session.terminate()
                session.wait(PATIENCE)

    def sessions(self):
        """Returns our sessions and locks that are left in the server."""
        return [line for line in self.sql(LEFT) if line]

    def databases(self, prefix):
        return self.sql(f"SELECT datname FROM pg_database WHERE starts_with(datname, '{prefix}') ORDER BY 1")

    def drop(self, *databases):
        for database in databases:
            self.leave(database)
            self.sql(f'DROP DATABASE IF EXISTS "{database}" WITH (FORCE)')

    def answers(self):
        try:
            return self.sql("SELECT 1") == ["1"]
        except (ConnectionError, OSError):
            return False

    def await_answer(self):
        """Waits until the server is usable again, whatever disturbed it."""
        run("docker", "start", "nexus-postgres", "nexus-redis")
        await_that(self.answers, "PostgreSQL answers again")
        await_that(lambda: docker.is_well("nexus-redis"), "Redis is well again")

    def leave_all(self):
        self.leave(*list(self.open))

    def close(self):
        self.leave_all()
        shutil.rmtree(self.home)
