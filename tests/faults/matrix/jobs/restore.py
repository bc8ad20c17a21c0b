"""nexus-restore apply: into a new database, or in place of the live one."""

import os

from jobs.job import TOOLS, Job
from world import sets
from world.wrong import FalseSuccess, Leftover, NotConverged, SetLost

LIVING = "fault_living"

# EX_IOERR of sysexits(3).
IO_ERROR = 74

# Printed if the server is gone and nothing could be removed.
WITHOUT_SERVER = "The next restore removes it"


def may_leave(outcome):
    """Whether it may leave something for the next run: without a server, or after a second signal, which ends it at once."""
    return WITHOUT_SERVER in outcome.said or "+" in outcome.what.split(" ")[0]


class Restore(Job):
    """With the swap: at every moment the name means the live database or the restored one, complete."""

    target = database = LIVING
    tables = ("a_table", "b_table", "state")

    def __init__(self, bench, directory, own):
        super().__init__(bench, directory, own)
        self.source = self.source_of(bench)
        self.set = self.place(self.example(bench))
        self.command = ["nexus-restore", "apply", "latest", f"--backup-dir={os.path.dirname(self.set)}", "--yes", *self.arguments()]
        if own:
            self.command.append(f"--pg-restore={TOOLS}/pg_restore")
        self.expected = self.rows_of(self.source)
        self.set_digest = sets.digest(self.set)
        self.begin()
        self.duration = min(self.timed() for _ in range(2))

    def source_of(self, bench):
        """Returns the database from which the set was made."""
        return bench.database()

    def example(self, bench):
        return bench.example()

    def place(self, example):
        """Returns the path of the set to restore."""
        return example

    def arguments(self):
        return [f"--pg-database={LIVING}", "--no-redis", "--no-safety-backup"]

    def timed(self):
        took = super().timed()
        self.begin()
        return took

    def rows_of(self, database):
        """Returns what must be the same in the copy: rows, indexes, sequence, large objects, and that programs may connect."""
        found = self.server.sql(
            "SELECT (SELECT md5(string_agg(a::text, '' ORDER BY i)) FROM a_table a), (SELECT sum(i) FROM b_table),"
            " (SELECT last_value FROM a_sequence), (SELECT count(*) FROM pg_index WHERE indrelid = 'a_table'::regclass),"
            " (SELECT md5(string_agg(data, '' ORDER BY loid, pageno)) FROM pg_largeobject)", database)
        self.server.leave(database)
        return found + self.server.sql(f"SELECT datallowconn, datconnlimit FROM pg_database WHERE datname = '{database}'")

    def state(self):
        """Returns `living` or `of the set`."""
        state = self.server.sql("SELECT name FROM state", LIVING)[0]
        found = self.rows_of(LIVING)
        if found != self.expected:
            raise FalseSuccess(f"the database {state} is incomplete: {found}")
        return state

    def begin(self):
        """Gives the live database its name back, and removes everything else."""
        found = self.server.databases(LIVING)
        kept = [name for name in found if name.startswith(f"{LIVING} before ")]
        if kept:
            self.server.drop(LIVING)
            self.server.sql(f'ALTER DATABASE "{kept[0]}" RENAME TO {LIVING}')
        elif LIVING not in found:
            self.server.leave(self.source)
            self.server.sql(f"CREATE DATABASE {LIVING} TEMPLATE {self.source}")
            self.server.sql("UPDATE state SET name = 'living'", LIVING)
            self.server.leave(LIVING)
        for name in found:
            if name not in (LIVING, *kept[:1]):
                self.server.drop(name)

    def holds(self, outcome):
        if sets.digest(self.set) != self.set_digest:
            raise SetLost("the set that was read has changed")
        state, there = self.state(), self.server.databases(LIVING)
        if outcome.exit == 0 and state != "of the set":
            raise FalseSuccess(f"it reported success, but the database is {state}")
        if outcome.exit > 0 and state == "living" and there != [LIVING] and not may_leave(outcome):
            raise Leftover(f"it ended by itself and left {there}")
        kept = [name for name in there if " before " in name]
        if state == "of the set" and len(kept) != 1:
            raise SetLost(f"the previous database is not kept: {there}")
        if outcome.exit > 0 and state == "of the set" and not outcome.other:
            # After the swap it may fail only if it cannot report its success, or does not know it. On a closed terminal it cannot even
            # report that.
            closed = outcome.exit == IO_ERROR and outcome.what.startswith("closed")
            if not closed and not any(words in outcome.said for words in ("standard output", "whether they were renamed is unknown")):
                raise NotConverged(f"it failed after the swap: {outcome.said.strip()}")

    def converges(self, outcome):
        self.begin()
        self.undisturbed()
        if self.state() != "of the set":
            raise NotConverged("the next restore succeeded, and the database is the live one")
        left = [name for name in self.server.databases(LIVING) if " restoring " in name]
        if left:
            raise NotConverged(f"the next restore has not removed {left}")


class RestoreEarly(Restore):
    """The database serves before its vector index is built. Under any later fault only the index is missing, the database records
    that, and `finish` builds it."""

    def source_of(self, bench):
        return bench.with_vectors()

    def example(self, bench):
        return bench.example_with_vectors()

    def arguments(self):
        return [*super().arguments(), "--serve-early"]

    def is_building(self):
        """Whether it is at its second step, after the database has its name."""
        return self.server.sql("SELECT count(*) FROM pg_stat_progress_create_index p JOIN pg_database d ON d.oid = p.datid"
                               f" WHERE d.datname = '{LIVING}'") != ["0"]

    def left(self):
        """Returns whether the live database records a missing index, and whether its index is valid."""
        left = self.server.sql("SELECT to_regclass('nexus_restore.unbuilt') IS NOT NULL, coalesce((SELECT indisvalid FROM pg_index"
                               " WHERE indexrelid = to_regclass('v_near')), false)", LIVING)
        self.server.leave(LIVING)
        return left[0]

    def holds(self, outcome):
        if sets.digest(self.set) != self.set_digest:
            raise SetLost("the set that was read has changed")
        state, left = self.state(), self.left()
        if state == "living":
            super().holds(outcome)
        elif left not in ("f|t", "t|f", "t|t"):
            raise FalseSuccess(f"its index is not built, but the database does not record that: {left}")
        elif outcome.exit == 0 and left != "f|t":
            raise FalseSuccess(f"it reported success, but its index is not built: {left}")
        elif outcome.exit > 0 and "nexus-restore finish" not in outcome.said and "standard output" not in outcome.said:
            raise NotConverged(f"it failed after the swap, but does not say how to continue: {outcome.said.strip()}")

    def converges(self, outcome):
        if self.state() == "of the set":
            # The second run has nothing to do.
            for _ in range(2):
                done = self.start_other(["nexus-restore", "finish", f"--pg-database={LIVING}"]).end()
                if done.exit != 0 or self.left() != "f|t":
                    raise NotConverged(f"finish exits with {done.exit} and {self.left()}: {done.said.strip()}")
            self.state()
        super().converges(outcome)


class RestoreInto(Restore):
    """Into a new database: it exists completely, or not at all."""

    target = database = "fault_new"

    def arguments(self):
        return [f"--into={self.target}"]

    def begin(self):
        for name in self.server.databases(self.target):
            self.server.drop(name)

    def holds(self, outcome):
        if sets.digest(self.set) != self.set_digest:
            raise SetLost("the set that was read has changed")
        there = self.server.databases(self.target)
        if self.target in there and self.rows_of(self.target) != self.expected:
            raise FalseSuccess("there is a new database, but it differs from the backup")
        if outcome.exit == 0 and there != [self.target]:
            raise FalseSuccess(f"it reported success, but there is {there}")
        if outcome.exit > 0 and there and "standard output" not in outcome.said and not may_leave(outcome):
            raise Leftover(f"it ended by itself and left {there}")

    def converges(self, outcome):
        if self.target in self.server.databases(self.target):
            self.server.drop(self.target)
        self.undisturbed()
        there = self.server.databases(self.target)
        if there != [self.target] or self.rows_of(self.target) != self.expected:
            raise NotConverged(f"the next restore succeeded, but there is {there}")
