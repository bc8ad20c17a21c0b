"""What the jobs that delete episodes have in common: a table with episodes that stay and that go, and a ledger of earlier purges."""

import os
import shutil

from jobs.job import Job

LEDGER = "ledger.jsonl"


class Deleting(Job):
    # Of each job: its database, the columns of its table, and the SQL that fills it and that adds the rows that go.
    database = columns = fill = goes = ""

    def __init__(self, bench, directory, own):
        super().__init__(bench, directory, own)
        self.tables = ("episode",)
        self.server.drop(self.database)
        bench.fill(self.database, self.fill)
        self.ledger, self.example = self.path("state"), self.path("example")
        self.purge = [
            "nexus-purge", f"--pg-database={self.database}", f"--purge-ledger={self.ledger}/{LEDGER}", "--table=public.episode",
            "--key-column=id", "--time-column=at", "--type-column=kind", "--redis-copies=fault:",
            f"--backup-dir={self.path('none')}", f"--proofs-dir={self.path('none')}"]
        self.stays = self.rows("stays")
        for path in (self.ledger, self.path("none")):
            os.mkdir(path, mode=0o700)

    def rows(self, kind):
        return self.server.sql(
            f"SELECT count(*), md5(string_agg(ROW({self.columns})::text, '' ORDER BY id)) FROM episode e WHERE kind = '{kind}'", self.database)[0]

    def left(self):
        return int(self.rows("goes").split("|")[0])

    def timed(self):
        self.server.sql(self.goes, self.database)
        return super().timed()

    def begin(self):
        self.server.sql(self.goes, self.database)
        self.reset_ledger()

    def reset_ledger(self):
        shutil.rmtree(self.ledger)
        shutil.copytree(self.example, self.ledger)

    def same_place(self):
        return [f"--purge-ledger={self.ledger}/{LEDGER}"]

    def close(self):
        self.server.leave(self.database)
