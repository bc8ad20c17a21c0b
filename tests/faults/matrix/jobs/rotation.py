"""nexus-backup --rotate-only over twenty nights."""

import os

from jobs.backup import Backup
from world.wrong import FalseSuccess, NotConverged

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
