"""The jobs that are broken: how each is run, what must hold after it, and that the next run puts everything right."""

import os

from jobs.backup import Backup, BackupWithRedis
from jobs.on_disk import BackupOnDisk
from jobs.on_medium import BackupOnMedium, RestoreFromMedium
from jobs.restore import Restore, RestoreInto
from jobs.restore_test import RestoreTest
from jobs.rotation import Rotation
from jobs.verify import Verify


def make(name, bench):
    """The job of a row. `-own` runs PostgreSQL's tools as commands of this machine, as for a server outside Compose:
    quicker, and strace sees them too. Else they run in the container, by nexus-docker."""
    kind, own = name.removesuffix("-own"), name.endswith("-own")
    directory = os.path.join(bench.directory, name)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    return {
        "backup": Backup, "backup-with-redis": BackupWithRedis, "backup-on-disk": BackupOnDisk,
        "backup-on-medium": BackupOnMedium, "rotation": Rotation, "restore": Restore, "restore-into": RestoreInto,
        "restore-from-medium": RestoreFromMedium, "verify": Verify, "restore-test": RestoreTest,
    }[kind](bench, directory, own)
