"""Jobs with sets on a file system that fails or lies."""

import os

from jobs.backup import Backup
from jobs.restore import RestoreInto
from world import sets
from world.medium import Medium


class BackupOnMedium(Backup):
    """Like `backup`."""

    def settle(self, example, directory):
        self.medium = Medium(self.path("medium"), directory)
        super().settle(example, directory)

    def seen_at(self, directory):
        """Returns the directory below, with what the file system has stored; it is also quicker to read."""
        return self.path("medium")

    def close(self):
        self.medium.close()


class RestoreFromMedium(RestoreInto):
    """Like `restore-into`."""

    target = "fault_from_medium"

    def place(self, example):
        there = self.path("sets", os.path.basename(example))
        self.medium = Medium(self.path("medium"), self.path("sets"))
        sets.copy(example, there)
        return there

    def close(self):
        self.medium.close()
