"""nexus-restore apply: into a new database, or in the place of a living one."""

import os
import time

from jobs.job import TOOLS, Job
from world import sets
from world.wrong import FalseSuccess, Leftover, NotConverged, SetLost

LIVING = "fault_living"

# A server that is gone cannot be asked to remove anything; then it says so.
WITHOUT_SERVER = "The next restore removes it"


class Restore(Job):
    """With the swap: at every moment the name means the living database or the restored one, whole."""

    target = LIVING

    def __init__(self, bench, directory, own):
        super().__init__(bench, directory, own)
        self.set = self.place(bench.example())
        self.command = ["nexus-restore", "apply", "latest", f"--backup-dir={os.path.dirname(self.set)}", "--yes", *self.arguments()]
        if own:
            self.command.append(f"--pg-restore={TOOLS}/pg_restore")
        self.expected = self.rows_of(bench.database())
        self.set_digest = sets.digest(self.set)
        self.begin()
        self.duration = min(self.timed() for _ in range(2))

    def place(self, example):
        """Where the set lies that is restored."""
        return example

    def arguments(self):
        return [f"--pg-database={LIVING}", "--no-redis", "--no-safety-backup"]

    def timed(self):
        began = time.monotonic()
        self.undisturbed()
        took = time.monotonic() - began
        self.begin()
        return took

    def rows_of(self, database):
        """What must be the same in the copy: rows, indexes, sequence, large objects, and that programs may connect."""
        found = self.server.sql(
            "SELECT (SELECT md5(string_agg(a::text, '' ORDER BY i)) FROM a_table a), (SELECT sum(i) FROM b_table),"
            " (SELECT last_value FROM a_sequence), (SELECT count(*) FROM pg_index WHERE indrelid = 'a_table'::regclass),"
            " (SELECT md5(string_agg(data, '' ORDER BY loid, pageno)) FROM pg_largeobject)", database)
        self.server.leave(database)
        return found + self.server.sql(f"SELECT datallowconn, datconnlimit FROM pg_database WHERE datname = '{database}'")

    def state(self):
        """`living` or `of the set`."""
        state = self.server.sql("SELECT name FROM state", LIVING)[0]
        found = self.rows_of(LIVING)
        if found != self.expected:
            raise FalseSuccess(f"the database {state} is not whole: {found}")
        return state

    def begin(self):
        """The living database has its name back, and nothing else is there."""
        found = self.server.databases(LIVING)
        kept = [name for name in found if name.startswith(f"{LIVING} before ")]
        if kept:
            self.server.drop(LIVING)
            self.server.sql(f'ALTER DATABASE "{kept[0]}" RENAME TO {LIVING}')
        elif LIVING not in found:
            self.server.leave(self.bench.database())
            self.server.sql(f"CREATE DATABASE {LIVING} TEMPLATE {self.bench.database()}")
            self.server.sql("UPDATE state SET name = 'living'", LIVING)
            self.server.leave(LIVING)
        for name in found:
            if name not in (LIVING, *kept[:1]):
                self.server.drop(name)

    def holds(self, outcome):
        if sets.digest(self.set) != self.set_digest:
            raise SetLost("the set that was read is not what it was")
        state, there = self.state(), self.server.databases(LIVING)
        if outcome.exit == 0 and state != "of the set":
            raise FalseSuccess(f"it says that it succeeded, and what is there is {state}")
        if outcome.exit > 0 and state == "living" and there != [LIVING] and WITHOUT_SERVER not in outcome.said:
            raise Leftover(f"it ended by itself and left {there}")
        kept = [name for name in there if " before " in name]
        if state == "of the set" and len(kept) != 1:
            raise SetLost(f"what was there before is not kept: {there}")
        if outcome.exit > 0 and state == "of the set" and not outcome.other:
            # It may only fail after the swap when it cannot say that it has succeeded.
            if "standard output" not in outcome.said:
                raise NotConverged(f"it failed after the swap: {outcome.said.strip()}")

    def converges(self, outcome):
        self.begin()
        self.undisturbed()
        if self.state() != "of the set":
            raise NotConverged("the next restore succeeded, and what is there is the living one")
        left = [name for name in self.server.databases(LIVING) if " restoring " in name]
        if left:
            raise NotConverged(f"the next restore has not removed {left}")


class RestoreInto(Restore):
    """Beside it: there is a new database, whole, or there is none."""

    target = "fault_new"

    def arguments(self):
        return [f"--into={self.target}"]

    def begin(self):
        for name in self.server.databases(self.target):
            self.server.drop(name)

    def holds(self, outcome):
        if sets.digest(self.set) != self.set_digest:
            raise SetLost("the set that was read is not what it was")
        there = self.server.databases(self.target)
        if self.target in there and self.rows_of(self.target) != self.expected:
            raise FalseSuccess("there is a new database, and it is not what was backed up")
        if outcome.exit == 0 and there != [self.target]:
            raise FalseSuccess(f"it says that it succeeded, and there is {there}")
        if outcome.exit > 0 and there and "standard output" not in outcome.said and WITHOUT_SERVER not in outcome.said:
            raise Leftover(f"it ended by itself and left {there}")

    def converges(self, outcome):
        if self.target in self.server.databases(self.target):
            self.server.drop(self.target)
        self.undisturbed()
        there = self.server.databases(self.target)
        if there != [self.target] or self.rows_of(self.target) != self.expected:
            raise NotConverged(f"the next restore succeeded, and there is {there}")
