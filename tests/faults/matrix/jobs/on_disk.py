"""nexus-backup onto its own small disk, which can be filled, unmounted, and lose power."""

import os
import subprocess

from jobs.backup import Backup
from world.disk import Disk


class BackupOnDisk(Backup):
    """Like `backup`; checks after the disk was repaired and mounted again."""

    def settle(self, example, directory):
        os.makedirs(directory)
        self.disk = Disk(self.path("disk"), directory)
        self.disk.mount()
        super().settle(example, directory)
        self.become_known()
        self.disk.remember()

    def become_known(self):
        """Puts the directory into the settings: nexus-backup misses a disk only below the configured directory."""
        command = [word for word in self.command if not word.startswith("--backup-dir=")]
        known = {**os.environ, "NEXUS_BACKUP_DIR": self.nights.directory}
        subprocess.run([*command, "--new-directory"], env=known, check=True, capture_output=True)
        super().begin()

    def begin(self):
        if self.disk.is_spoilt:
            self.disk.make_again()
        self.disk.empty()
        super().begin()
        self.disk.settle()

    def close(self):
        self.disk.close()
