"""nexus-backup onto a small disk of its own, which can be filled, unmounted, and lose its power."""

import os

from jobs.backup import Backup
from world.disk import Disk


class BackupOnDisk(Backup):
    """As `backup`; what holds is looked at after the disk has been checked and mounted again."""

    def settle(self, example, directory):
        os.makedirs(directory)
        self.disk = Disk(self.path("disk"), directory)
        self.disk.mount()
        super().settle(example, directory)
        self.disk.remember()

    def begin(self):
        if self.disk.is_spoilt:
            self.disk.make_again()
        self.disk.empty()
        super().begin()
        self.disk.settle()

    def close(self):
        self.disk.close()
