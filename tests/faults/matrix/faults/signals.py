"""A signal at a moment of the run."""

import contextlib
import os

from world import sets
from world.running import held_at_a_moment


def at_a_moment(job, row, case):
    """`step` says when: at a random moment, or once the job writes a set or builds an index. `argument` names the signals, in order."""
    if row.step == "any":
        running, moment = held_at_a_moment(job, case.rng, 0.9)
        struck, what = True, f"{row.argument} after {moment:.3f} s"
    else:
        running = job.start()
        running.wait_for(lambda: MOMENTS[row.step](job))
        struck, what = running.hold(), f"{row.argument} while it is {row.step}"
    for name in row.argument.split("+"):
        running.send(name)
        # Two pending signals of the same kind would count as one.
        running.go_on()
    return running.end(what, struck)


def is_writing(job):
    """Whether the job writes a set: some of its files are there."""
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(job.nights.directory):
            if name.endswith(".partial") and len(sets.files(job.nights.path(name))) > 1:
                return True
    return False


MOMENTS = {"writing": is_writing, "building": lambda job: job.is_building()}


def none(job, row, case):
    """Breaks nothing."""
    return job.start().end("undisturbed")
