"""The disk below the backup directory is full, breaks, is unmounted or read-only; or another directory takes its place."""

import os
import shutil

from faults.signals import is_writing
from world.disk import SIZE
from world.machine import run


def broken(job, row, case):
    """`step` says when: before the run, or while it writes a set."""
    disk, struck = job.disk, True
    if row.step == "before":
        what = BREAK[row.argument](disk, case.rng)
        running = job.start()
    else:
        running = job.start()
        running.wait_for(lambda: is_writing(job))
        struck = running.hold()
        what = BREAK[row.argument](disk, case.rng)
        running.go_on()
    outcome = running.end(f"{row.argument} {row.step}: {what}", struck)
    MEND[row.argument](disk)
    return outcome


def fill(disk, rng):
    leaving = rng.randint(0, 30_000)
    disk.fill(leaving)
    return f"{leaving} bytes left"


def make_thin(disk, rng):
    disk.make_thin()
    return "nothing more fits below it"


def switch_off(disk, rng):
    disk.switch_off()
    return "nothing more reaches it"


def make_read_only(disk, rng):
    run("mount", "-o", "remount,ro", disk.mountpoint)
    return "mounted read-only"


def take_away(disk, rng):
    run("umount", "--lazy", disk.mountpoint)
    return "unmounted"


def swap(disk, rng):
    """Mounts an empty disk in its place."""
    run("umount", "--lazy", disk.mountpoint)
    run("mount", "-t", "tmpfs", "-o", "mode=700", "another", disk.mountpoint)
    return "another one is mounted"


def swap_back(disk):
    run("umount", disk.mountpoint)
    disk.mount()


def put_back(disk):
    """Removes what was written to the empty mount point, and mounts the disk."""
    for name in os.listdir(disk.mountpoint):
        path = os.path.join(disk.mountpoint, name)
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    disk.mount()


BREAK = {"full": fill, "thin": make_thin, "dies": switch_off, "read-only": make_read_only, "unmounted": take_away, "swapped": swap}
MEND = {
    "full": lambda disk: disk.empty(),
    "thin": lambda disk: thicken(disk),
    "dies": lambda disk: disk.check_and_mount(),
    "read-only": lambda disk: run("mount", "-o", "remount,rw", disk.mountpoint),
    "unmounted": put_back,
    "swapped": swap_back,
}


def thicken(disk):
    """Adds room, and remounts the disk as after a boot: sets that were reported as stored must be there."""
    run("mount", "-o", f"remount,size={4 * SIZE}", disk.home)
    disk.check_and_mount()


def directory(job, row, case):
    """Moves the directory away while the job writes a set, and may put another one in its place."""
    running = job.start()
    running.wait_for(lambda: is_writing(job))
    struck = running.hold()
    here, away = job.nights.directory, job.nights.directory + ".away"
    os.rename(here, away)
    if row.argument == "replaced":
        os.mkdir(here, 0o700)
    running.go_on()
    outcome = running.end(f"the directory is {row.argument}", struck)
    if os.path.isdir(here):
        shutil.rmtree(here)
    os.rename(away, here)
    return outcome
