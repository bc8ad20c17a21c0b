"""nexus-purge of a small table by age, with a ledger of earlier purges."""

import os
import shutil
import time

from jobs.job import Job
from world.wrong import FalseSuccess, NotConverged, SetLost, Wrong

DATABASE = "fault_purge"
LEDGER = "ledger.jsonl"

STAYS = """
CREATE TABLE episode (id bigint PRIMARY KEY, at timestamptz, kind text, text text);
INSERT INTO episode SELECT i, now() - interval '1 day', 'stays', repeat(md5(i::text), 20) FROM generate_series(1, 2000) i;
"""

# Less than a fifth of the rows: more would stop an unattended run.
GOES = """
DELETE FROM episode WHERE kind = 'goes';
INSERT INTO episode SELECT i, now() - interval '9 days', 'goes', repeat(md5(i::text), 20) FROM generate_series(1000001, 1000300) i
"""


class Purge(Job):
    """No row that must stay is ever deleted; success means that all rows that must go are gone; a damaged ledger stops everything."""

    # The next run has less to delete than the killed one.
    is_as_long_again = False

    def __init__(self, bench, directory, own):
        super().__init__(bench, directory, own)
        self.database, self.tables = DATABASE, ("episode",)
        self.server.drop(DATABASE)
        bench.fill(DATABASE, STAYS)
        self.ledger, self.example = self.path("state"), self.path("example")
        self.command = [
            "nexus-purge", f"--pg-database={DATABASE}", f"--purge-ledger={self.ledger}/{LEDGER}", "--table=public.episode",
            "--key-column=id", "--time-column=at", "--type-column=kind", "--ttl=goes=5d, stays=2y", "--redis-copies=fault:",
            f"--backup-dir={self.path('none')}", f"--proofs-dir={self.path('none')}"]
        self.stays = self.rows("stays")
        for path in (self.ledger, self.path("none")):
            os.mkdir(path, mode=0o700)
        self.duration = min(self.timed() for _ in range(3))
        shutil.copytree(self.ledger, self.example)

    def rows(self, kind):
        return self.server.sql(
            f"SELECT count(*), md5(string_agg(ROW(id, at, kind, text)::text, '' ORDER BY id)) FROM episode e WHERE kind = '{kind}'", DATABASE)[0]

    def timed(self):
        self.server.sql(GOES, DATABASE)
        began = time.monotonic()
        self.undisturbed()
        return time.monotonic() - began

    def begin(self):
        self.server.sql(GOES, DATABASE)
        self.reset_ledger()

    def reset_ledger(self):
        shutil.rmtree(self.ledger)
        shutil.copytree(self.example, self.ledger)

    def same_place(self):
        return [f"--purge-ledger={self.ledger}/{LEDGER}"]

    def holds(self, outcome):
        # If the server died, our own session died too.
        self.server.leave(DATABASE)
        if self.rows("stays") != self.stays:
            raise SetLost("rows that must stay are gone or changed")
        ended = [o.exit for o in (outcome, outcome.other) if o]
        if 0 in ended and outcome.clock_is_true and self.left():
            raise FalseSuccess(f"it reported success, but {self.left()} rows that must go are left")

    def left(self):
        return int(self.rows("goes").split("|")[0])

    def converges(self, outcome):
        self.undisturbed()
        if self.left():
            raise NotConverged(f"{self.left()} rows that must go are left")
        if self.rows("stays") != self.stays:
            raise SetLost("rows that must stay are gone or changed")
        shown = self.start(extra=["--ledger", "--json"]).end()
        if shown.exit != 0 or '"rows": null' in shown.answer:
            raise Wrong(f"the ledger is damaged, or has an open decision: {shown.exit} {shown.said}{shown.answer}")

    def close(self):
        self.server.leave(DATABASE)
