"""The power fails at a random moment: only what has reached the disk remains. The case checks and mounts a copy of the disk's image
of that moment. Each set with a final name must be complete, and each set that was reported as stored must be there."""

import os

from world import sets
from world.disk import mounted
from world.wrong import FalseSuccess, NotConverged, ProvenSetLost, SetLost

# Longer than a run, so that some cuts come just after it has reported success.
SHARE = 1.15


def cut(job, row, case):
    running = job.start()
    moment = case.rng.random() * job.duration * SHARE
    running.wait_until(moment)
    # Held between two system calls, so that the copy shows one moment.
    ran = running.hold()
    succeeded = not ran and running.process.returncode == 0
    image = job.disk.image_of_this_moment()
    known = sorted(job.nights.new()) if succeeded else []
    running.go_on()
    outcome = running.end(f"the power fails after {moment:.3f} s")
    with mounted(image, job.disk.home + ".after") as directory:
        look_at(job, directory, known)
    return outcome


def look_at(job, directory, known):
    """Checks the disk after the power has failed."""
    nights = job.nights
    there = sets.names(directory)
    for name in there:
        sets.require_whole(os.path.join(directory, name))
    for name in known:
        if name not in there:
            raise FalseSuccess(f"it said that set {name} is stored, and after the power has failed it is not there")
    new = [name for name in there if name not in nights.names.values()]
    for number, name in nights.names.items():
        if name in there and sets.digest(os.path.join(directory, name)) != nights.digest:
            raise SetLost(f"set {name} has changed")
        if name not in there and not (new and number in {1, 2, 4, 5, 6}):
            raise (ProvenSetLost if number == 3 else SetLost)(f"set {name} is gone")
    done = job.undisturbed(extra=[f"--backup-dir={directory}"]) if new or there else None
    if done is None or len(sets.names(directory)) < 16:
        raise NotConverged(f"after the next run there are {sets.names(directory)}")
