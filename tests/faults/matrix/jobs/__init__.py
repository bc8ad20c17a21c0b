"""The jobs under test: how to run each, what must hold after it, and that the next run repairs everything."""

import os

from jobs.alert import Alert
from jobs.amid import BackupAmid
from jobs.backup import Backup, BackupWithRedis
from jobs.forget import Forget
from jobs.health import Health
from jobs.on_disk import BackupOnDisk
from jobs.on_medium import BackupOnMedium, RestoreFromMedium
from jobs.purge import Purge
from jobs.restore import Restore, RestoreEarly, RestoreInto
from jobs.restore_test import RestoreTest
from jobs.rotation import Rotation, RotationOfAPast
from jobs.setup import Setup
from jobs.stack import Stack, StackReload
from jobs.verify import Verify


KINDS = {
    "alert": Alert,
    "backup": Backup,
    "backup-amid": BackupAmid,
    "backup-on-disk": BackupOnDisk,
    "backup-on-medium": BackupOnMedium,
    "backup-with-redis": BackupWithRedis,
    "forget": Forget,
    "health": Health,
    "purge": Purge,
    "restore": Restore,
    "restore-early": RestoreEarly,
    "restore-from-medium": RestoreFromMedium,
    "restore-into": RestoreInto,
    "restore-test": RestoreTest,
    "rotation": Rotation,
    "rotation-of-a-past": RotationOfAPast,
    "setup": Setup,
    "stack": Stack,
    "stack-reload": StackReload,
    "verify": Verify,
}


def make(name, bench):
    """Returns the job of a row. `-own` runs PostgreSQL's tools as commands of this machine, as for a server outside Compose: this is
    quicker, and strace sees them too. Otherwise nexus-docker runs them in the container."""
    kind, own = name.removesuffix("-own"), name.endswith("-own")
    directory = os.path.join(bench.directory, name)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    return KINDS[kind](bench, directory, own)
