"""A backup directory with twenty nights in it, of which some are too old and one of those is proven."""

import json
import os
import shutil
import time

from world import sets
from world.wrong import Leftover, ProvenSetLost, SetLost

NIGHTS = 20
DAY = 86_400

# By number. Kept are fourteen days; 3 is the newest that is proven, 1 was proven before it, 5 could not be.
PROVEN, PROVEN_BEFORE, NOT_PROVEN = 3, 1, 5

# Those that may be too old: with the right clock 1 to 6 when there is a new set. A leap of the clock counts two days.
MAY_GO = {1, 2, 4, 5, 6, 7}


class Nights:
    """The directory, how it was at the beginning, and how to get back there."""

    def __init__(self, directory, proofs, real_set):
        self.directory, self.proofs, self.real = directory, proofs, real_set
        self.digest = sets.digest(real_set)
        # Half a day more than whole days, so that no age is on the border while the cases run.
        newest = time.time() - DAY / 2
        self.names = {}
        for number in range(1, NIGHTS + 1):
            taken = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(newest - (NIGHTS - number) * DAY))
            self.names[number] = f"{number + 100:06}-{taken}"
        os.makedirs(proofs, exist_ok=True)
        for number, proven in [(PROVEN, True), (PROVEN_BEFORE, True), (NOT_PROVEN, False)]:
            self.prove(self.names[number], proven)
        self.reset()

    def prove(self, name, proven):
        """A proof as nexus-restore-test writes it."""
        proof = {"format": 1, "set": name, "proven": proven, "at": "2026-01-01T00:00:00Z"}
        with open(os.path.join(self.proofs, f"{name.split('-')[0]}.json"), "w", encoding="utf-8") as file:
            json.dump(proof, file)

    def path(self, name):
        return os.path.join(self.directory, name)

    def reset(self):
        """Back to the beginning: nothing but the twenty, as they were."""
        ours = set(self.names.values())
        for name in os.listdir(self.directory):
            path = self.path(name)
            if name in ours and sets.digest(path) == self.digest:
                ours.discard(name)
            elif os.path.isdir(path) and name != "lost+found":
                shutil.rmtree(path)
            elif name in (".unfinished", ".last.json", ".last.new"):
                os.unlink(path)
        for name in ours:
            sets.copy(self.real, self.path(name))

    def gone(self, may_go=frozenset(MAY_GO)):
        """Numbers of those that are gone. The others must be what they were, and all that may not go must be there."""
        gone = set()
        for number, name in self.names.items():
            if not os.path.isdir(self.path(name)):
                gone.add(number)
            elif sets.digest(self.path(name)) != self.digest:
                raise (ProvenSetLost if number == PROVEN else SetLost)(f"set {name} is not what it was")
        if PROVEN in gone:
            raise ProvenSetLost(f"set {self.names[PROVEN]} is gone, the newest that is proven")
        if not gone <= may_go:
            raise SetLost(f"sets are gone that were not too old: {[self.names[n] for n in sorted(gone - may_go)]}")
        return gone

    def new(self):
        """The sets that were not there at the beginning. Whoever has its final name must be whole."""
        new = [name for name in sets.names(self.directory) if name not in self.names.values()]
        for name in new:
            sets.require_whole(self.path(name))
        return new

    def require_no_leftovers(self):
        """After a run that succeeded there is nothing but sets, the lock, the identity and what is remembered of the last one."""
        allowed = {".lock", ".last.json", ".directory-id", "lost+found"}
        left = [n for n in os.listdir(self.directory) if not sets.NAME.fullmatch(n) and n not in allowed]
        if left:
            raise Leftover(f"left in the backup directory: {left}")
