"""The disk below the backup directory is full, breaks, is unmounted or read-only; or the directory is another one."""

import os
import shutil

from faults.signals import is_writing
from world.disk import SIZE
from world.machine import run


def broken(job, row, case):
    """`step` says when: before the run, or while a set is being made."""
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
    """Another disk is in its place, with nothing on it."""
    run("umount", "--lazy", disk.mountpoint)
    run("mount", "-t", "tmpfs", "-o", "mode=700", "another", disk.mountpoint)
    return "another one is mounted"


def swap_back(disk):
    run("umount", disk.mountpoint)
    disk.mount()


def put_back(disk):
    """What was written where the disk should have been is in its way."""
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
    """There is room again, and the machine comes up anew: what was said to be stored must be there."""
    run("mount", "-o", f"remount,size={4 * SIZE}", disk.home)
    disk.check_and_mount()


def directory(job, row, case):
    """While a set is being made, the directory is moved away and another one is in its place."""
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
