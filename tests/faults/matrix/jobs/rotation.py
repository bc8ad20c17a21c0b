"""nexus-backup --rotate-only over twenty nights."""

import os

from jobs.backup import Backup
from jobs.job import Job
from world import sets
from world.wrong import FalseSuccess, NotConverged, ProvenSetLost

# No set is newer than the twentieth night.
TOO_OLD = {1, 2, 4, 5}


class Rotation(Backup):
    """Young sets and the newest proven one always stay; in the end the old ones are gone."""

    def settle(self, example, directory):
        self.command.append("--rotate-only")
        super().settle(example, directory)

    def holds(self, outcome):
        gone = self.nights.gone(frozenset(TOO_OLD | {6, 7} if not outcome.clock_is_true else TOO_OLD))
        if self.nights.new():
            raise FalseSuccess(f"rotation has made sets: {self.nights.new()}")
        unfinished = os.path.exists(self.nights.path(".unfinished"))
        if outcome.exit == 0 and outcome.clock_is_true and gone != (set() if unfinished else TOO_OLD):
            raise FalseSuccess(f"it reported success, but has removed {sorted(gone)}, not {sorted(TOO_OLD)}")

    def converges(self, outcome):
        self.undisturbed()
        if outcome.clock_is_true and self.nights.gone() != TOO_OLD:
            raise NotConverged(f"in the next run rotation has removed {sorted(self.nights.gone())}, not {sorted(TOO_OLD)}")
        self.nights.require_no_leftovers()


class RotationOfAPast(Job):
    """Rotation of sets from a past that each case makes."""

    command = ["nexus-backup", "--rotate-only", "--redis=no"]
    # The case's past, and the options that point rotation to it.
    past, options = None, ()

    def converges(self, outcome):
        """Raises if a second run decides otherwise."""
        left = sets.names(self.past.directory)
        self.undisturbed(self.options, expected=(65 if self.past.has_bad_proof else 0,))
        if not self.past.newest_proven() <= set(sets.names(self.past.directory)):
            raise ProvenSetLost(f"a second run removes the proven set: {left}")
