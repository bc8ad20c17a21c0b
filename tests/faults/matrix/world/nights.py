"""A backup directory with twenty nights. Some are too old, and one of those is proven."""

import json
import os
import shutil
import time

from world import sets
from world.wrong import Leftover, ProvenSetLost, SetLost

NIGHTS = 20
DAY = 86_400

# Numbers of sets. Rotation keeps fourteen days; 3 is the newest proven set, 1 was proven before it, 5 failed its test.
PROVEN, PROVEN_BEFORE, NOT_PROVEN = 3, 1, 5

# The sets that may be too old: with the right clock and a new set, 1 to 6. A leap of the clock counts as two days.
MAY_GO = {1, 2, 4, 5, 6, 7}


class Nights:
    """The directory, its initial state, and how to return to that."""

    def __init__(self, directory, proofs, real_set):
        self.directory, self.proofs, self.real = directory, proofs, real_set
        self.digest = sets.digest(real_set)
        # Half a day more than whole days, so that no age crosses the limit while the cases run.
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
        """Writes a proof like nexus-restore-test."""
        proof = {"format": 1, "set": name, "proven": proven, "at": "2026-01-01T00:00:00Z"}
        with open(os.path.join(self.proofs, f"{name.split('-')[0]}.json"), "w", encoding="utf-8") as file:
            json.dump(proof, file)

    def path(self, name):
        return os.path.join(self.directory, name)

    def reset(self):
        """Restores the initial state: only the twenty sets, unchanged."""
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
        """Returns the numbers of the removed sets. Raises if a set outside of `may_go` is gone, or another has changed."""
        gone = set()
        for number, name in self.names.items():
            if not os.path.isdir(self.path(name)):
                gone.add(number)
            elif sets.digest(self.path(name)) != self.digest:
                raise (ProvenSetLost if number == PROVEN else SetLost)(f"set {name} has changed")
        if PROVEN in gone:
            raise ProvenSetLost(f"set {self.names[PROVEN]}, the newest proven one, is gone")
        if not gone <= may_go:
            raise SetLost(f"sets that were not too old are gone: {[self.names[n] for n in sorted(gone - may_go)]}")
        return gone

    def new(self):
        """Returns the new sets. Raises if one with a final name is incomplete."""
        new = [name for name in sets.names(self.directory) if name not in self.names.values()]
        for name in new:
            sets.require_whole(self.path(name))
        return new

    def require_no_leftovers(self):
        """Raises if a successful run left anything but sets, the lock, the identity and the record of the last set."""
        allowed = {".lock", ".last.json", ".directory-id", "lost+found"}
        left = [n for n in os.listdir(self.directory) if not sets.NAME.fullmatch(n) and n not in allowed]
        if left:
            raise Leftover(f"left in the backup directory: {left}")
