"""nexus-backup of a small database, into a directory with twenty nights."""

import os

from jobs.job import TOOLS, Job
from world import sets
from world.nights import PROVEN, Nights
from world.wrong import FalseSuccess, NotConverged, SetLost

# The sets that rotation removes after a success, if the clock is right.
TOO_OLD = {1, 2, 4, 5, 6}


class Backup(Job):
    """A set with a final name is complete; success means a new, complete set; rotation removes nothing before it exists."""

    redis = "no"
    # The tables that another session may lock (faults/locks.py).
    tables = ("a_table", "b_table", "state")

    def __init__(self, bench, directory, own):
        super().__init__(bench, directory, own)
        self.database = bench.database()
        self.command = ["nexus-backup", f"--pg-database={bench.database()}", f"--redis={self.redis}"]
        if own:
            self.command += [f"--pg-dump={TOOLS}/pg_dump", f"--pg-dumpall={TOOLS}/pg_dumpall"]
        self.sets_dir, self.proofs = self.path("sets"), self.path("proofs")
        self.settle(bench.example(), self.sets_dir)

    def settle(self, example, directory):
        """Makes the nights from a set of the same database, and measures a run."""
        self.command += [f"--backup-dir={directory}", f"--proofs-dir={self.proofs}"]
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self.nights = Nights(self.seen_at(directory), self.proofs, example)
        self.expected = sets.contents(example)
        self.duration = min(self.timed() for _ in range(2))
        self.begin()

    def seen_at(self, directory):
        """Returns the path at which the test reads that directory of the job."""
        return directory

    def timed(self):
        self.begin()
        return super().timed()

    def same_place(self):
        return [f"--backup-dir={self.nights.directory}", f"--proofs-dir={self.proofs}"]

    def begin(self):
        self.nights.reset()

    def holds(self, outcome):
        new, gone = self.nights.new(), self.nights.gone()
        if len(new) > (2 if outcome.other else 1):
            raise FalseSuccess(f"there are {len(new)} new sets")
        if gone and not new and not outcome.rotated_by_another:
            raise SetLost(f"rotation has removed sets {sorted(gone)}, but there is no new one")
        succeeded = [o for o in (outcome, outcome.other) if o and o.exit == 0]
        if len(new) < len(succeeded):
            raise FalseSuccess(f"{len(succeeded)} reported success, but there are {len(new)} new sets")
        for name in new if succeeded else ():
            self.require_all_in_it(name)
        if succeeded and outcome.clock_is_true and gone != TOO_OLD:
            raise FalseSuccess(f"it reported success, but rotation has removed {sorted(gone)}, not {sorted(TOO_OLD)}")

    def require_all_in_it(self, name):
        """Raises unless the set has the content of the database."""
        found = sets.contents(self.nights.path(name))
        if found != self.expected:
            differing = {k for k in found.keys() | self.expected.keys() if found.get(k) != self.expected.get(k)}
            raise FalseSuccess(f"set {name} differs from the database: {sorted(differing)}")

    def converges(self, outcome):
        before = len(self.nights.new())
        self.undisturbed()
        new, gone = self.nights.new(), self.nights.gone()
        if len(new) != before + 1:
            raise NotConverged(f"after the next run there are {len(new)} new sets, before it {before}")
        if outcome.clock_is_true and gone != TOO_OLD:
            raise NotConverged(f"in the next run rotation has removed {sorted(gone)}, not {sorted(TOO_OLD)}; {PROVEN} is proven")
        self.nights.require_no_leftovers()


class BackupWithRedis(Backup):
    """The same with Redis's snapshot."""

    redis = "yes"

    def settle(self, example, directory):
        super().settle(example, directory)
        self.expected["files"] = sorted([*self.expected["files"], "redis.rdb.zst.age"])
