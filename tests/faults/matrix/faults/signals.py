"""A signal at a moment of the run."""

import contextlib
import os

from world import sets


def at_a_moment(job, row, case):
    """`step` says when: at a random moment, or once it is writing a set or building an index. `argument` names the signals, one after the other."""
    running = job.start()
    if row.step == "any":
        moment = case.rng.random() * job.duration * 0.9
        running.wait_until(moment)
        what = f"{row.argument} after {moment:.3f} s"
    else:
        running.wait_for(lambda: MOMENTS[row.step](job))
        what = f"{row.argument} while it is {row.step}"
    struck = False
    for name in row.argument.split("+"):
        struck = running.send(name) or struck
    if row.step == "any" and not struck:
        # It had ended by then: the machine is less busy than when its time was taken.
        job.duration = moment
    return running.end(what, struck)


def is_writing(job):
    """Whether a set is being made: some of its files are there."""
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(job.nights.directory):
            if name.endswith(".partial") and len(sets.files(job.nights.path(name))) > 1:
                return True
    return False


MOMENTS = {"writing": is_writing, "building": lambda job: job.is_building()}


def none(job, row, case):
    """Nothing is broken."""
    return job.start().end("undisturbed")
