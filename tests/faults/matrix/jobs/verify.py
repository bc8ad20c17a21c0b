"""nexus-restore verify all, over a set that is damaged and one that is not."""

import json
import os
import shutil

from jobs.job import Job
from world import sets
from world.wrong import DamageMissed, WrongEnd


class Verify(Job):
    """Damage is found without a key, the file that is damaged is named, and the whole set is not suspected."""

    def __init__(self, bench, directory, own):
        super().__init__(bench, directory, own)
        self.original, self.other = bench.example(), bench.other_example()
        self.set = self.path(os.path.basename(self.original))
        self.whole = self.path(os.path.basename(self.other))
        sets.copy(self.other, self.whole)
        self.command = ["nexus-restore", "verify", "all", f"--backup-dir={directory}", "--json"]
        self.begin()
        self.undisturbed()

    def begin(self):
        if os.path.isdir(self.set):
            shutil.rmtree(self.set)
        sets.copy(self.original, self.set)

    def holds(self, outcome):
        if outcome.exit not in (0, 65):
            return
        found = {row["set"]: row["damaged"] for row in json.loads(outcome.answer)["sets"]}
        # What cannot be read at all may be any file of either set.
        if any("os error" not in damage["what"] for damage in found[os.path.basename(self.whole)]):
            raise WrongEnd(f"it suspects the set that is whole: {found}")
        if outcome.exit == 65 and not any(found.values()):
            raise DamageMissed(f"it names no damage: {found}")

    def converges(self, outcome):
        """With the set as it was, all is well again: `begin` of the next case and the rows of whole sets show it."""
