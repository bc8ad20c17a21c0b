"""nexus-restore verify all, with a damaged set and an intact one."""

import json
import os
import shutil

from jobs.job import Job
from world import sets
from world.wrong import DamageMissed, WrongEnd


class Verify(Job):
    """It finds damage without a key, names the damaged file, and does not blame the intact set."""

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
        if outcome.exit not in (0, 65) or outcome.answer is None:
            return
        found = {row["set"]: row["damaged"] for row in json.loads(outcome.answer)["sets"]}
        # A read error may hit any file of either set.
        if any("os error" not in damage["what"] for damage in found[os.path.basename(self.whole)]):
            raise WrongEnd(f"it reports damage in the intact set: {found}")
        if outcome.exit == 65 and not any(found.values()):
            raise DamageMissed(f"it names no damage: {found}")

    def converges(self, outcome):
        """Needs no check: `begin` of the next case and the rows of intact sets show that it succeeds again."""
