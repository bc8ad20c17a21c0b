"""nexus-backup --rotate-only over twenty nights."""

import os

from jobs.backup import Backup
from jobs.job import Job
from world import sets
from world.wrong import FalseSuccess, NotConverged, ProvenSetLost

# There is no newer set than the twentieth night.
TOO_OLD = {1, 2, 4, 5}


class Rotation(Backup):
    """The young and the newest proven one stay whatever happens; in the end the old ones are gone."""

    def settle(self, example, directory):
        self.command.append("--rotate-only")
        super().settle(example, directory)

    def holds(self, outcome):
        gone = self.nights.gone(frozenset(TOO_OLD | {6, 7} if not outcome.clock_is_true else TOO_OLD))
        if self.nights.new():
            raise FalseSuccess(f"rotation has made sets: {self.nights.new()}")
        unfinished = os.path.exists(self.nights.path(".unfinished"))
        if outcome.exit == 0 and outcome.clock_is_true and gone != (set() if unfinished else TOO_OLD):
            raise FalseSuccess(f"it says that it succeeded, and has removed {sorted(gone)}, not {sorted(TOO_OLD)}")

    def converges(self, outcome):
        self.undisturbed()
        if outcome.clock_is_true and self.nights.gone() != TOO_OLD:
            raise NotConverged(f"the next run has rotated {sorted(self.nights.gone())} away, not {sorted(TOO_OLD)}")
        self.nights.require_no_leftovers()


class RotationOfAPast(Job):
    """Over sets of a past that each case makes for itself."""

    command = ["nexus-backup", "--rotate-only", "--redis=no"]
    # The case's past, and the options that send rotation there.
    past, options = None, ()

    def converges(self, outcome):
        """What it decided once it must not decide otherwise at once."""
        left = sets.names(self.past.directory)
        self.undisturbed(self.options, expected=(65 if self.past.has_bad_proof else 0,))
        if not self.past.newest_proven() <= set(sets.names(self.past.directory)):
            raise ProvenSetLost(f"run again, it removes the proven set: {left}")
