"""Stores results, one file a row, in a directory that several machines may share. Each machine takes rows that no other has taken.
The next run repeats interrupted and failed rows."""

import collections
import contextlib
import dataclasses
import json
import os

from world.wrong import KINDS

BY_NAME = {kind.__name__: kind for kind in KINDS}


@dataclasses.dataclass
class Result:
    """The result of a row."""

    row: object
    # The state of the code, and the seed.
    source: str = ""
    struck: int = 0
    missed: int = 0
    detected: int = 0
    seconds: float = 0.0
    wrong: collections.Counter = dataclasses.field(default_factory=collections.Counter)
    ends: collections.Counter = dataclasses.field(default_factory=collections.Counter)

    @property
    def failed(self):
        return sum(self.wrong.values())


class Results:
    """The stored results. Each contains `source`."""

    def __init__(self, directory, source, long):
        self.directory, self.source, self.long = directory, source, long
        os.makedirs(directory, exist_ok=True)

    def path(self, row, ending):
        return os.path.join(self.directory, f"{str(row).replace(' ', '_')}.{ending}")

    def take(self, row):
        """Reserves the row; returns False if another machine has it, or it has succeeded."""
        kept = self.read(row)
        if kept and not kept.failed:
            return False
        with contextlib.suppress(FileExistsError):
            os.close(os.open(self.path(row, "taken"), os.O_CREAT | os.O_EXCL))
            return True
        return False

    def give_back(self):
        """Frees the rows that dead runs have reserved."""
        for name in os.listdir(self.directory):
            if name.endswith(".taken"):
                os.unlink(os.path.join(self.directory, name))

    def keep(self, result):
        content = {
            "asked": self.asked(result.row), "source": self.source, "struck": result.struck, "missed": result.missed,
            "detected": result.detected, "seconds": result.seconds, "ends": dict(result.ends),
            "wrong": {kind.__name__: count for kind, count in result.wrong.items()}}
        new, path = self.path(result.row, "new"), self.path(result.row, "json")
        with open(new, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
        os.rename(new, path)

    def asked(self, row):
        """Returns what the row asks. A stored result counts only if this is unchanged."""
        return [str(row), row.cases(self.long), row.expectation.text]

    def read(self, row):
        """Returns the result of a row, if there is one."""
        try:
            with open(self.path(row, "json"), encoding="utf-8") as file:
                kept = json.load(file)
        except FileNotFoundError:
            return None
        if kept["asked"] != self.asked(row):
            return None
        ends = collections.Counter({int(code): count for code, count in kept["ends"].items()})
        wrong = collections.Counter({BY_NAME[name]: count for name, count in kept["wrong"].items()})
        return Result(row, kept["source"], kept["struck"], kept["missed"], kept["detected"], kept["seconds"], wrong, ends)
