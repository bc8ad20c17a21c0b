"""Other sessions work on the tables during a backup."""

import threading

from world.others import Others

# Seconds; every wait of a job has a shorter limit.
PATIENCE = 90


def beside(job, row, case):
    """Like `others`, for a job that is not a backup, and without the second reader."""
    with Others(job.server, job.database, row.step, case.rng, int(row.argument)) as others:
        outcome = job.start().end(patience=PATIENCE)
    outcome.what = f"{others.done} changes by {row.argument} others"
    job.server.leave(job.database)
    return outcome


def others(job, row, case):
    """`step` is the kind of work of the other sessions (world/others.py), `argument` their number."""
    with Others(job.server, job.database, row.step, case.rng, int(row.argument), job.duration) as others:
        running = job.start()
        # In most cases the others finish after a while: until then a backup gives way to them again and again.
        if case.rng.random() < 0.8:
            threading.Timer(case.rng.random() * job.duration * 0.3, others.calm.set).start()
        job.watch(running, PATIENCE, job.waits_for_another_try)
        what = ""
        if running.runs() and job.waits_for_another_try():
            what = AFTER[case.rng.random() < 0.05](job, running, others)
            job.watch(running, PATIENCE)
        outcome = running.end(patience=1)
    outcome.what, outcome.said = f"{others.done} changes by {row.argument} others{what}", job.said()
    return outcome


def stopped(job, running, others):
    """Stops the run at its first "no set for now": its final failure would take minutes."""
    if running.hold():
        # Its next try may have succeeded meanwhile.
        if not job.has_a_set():
            running.send("TERM")
        running.go_on()
    return "; stopped when it had given way to them"


def left_alone(job, running, others):
    """Stops the others, so that the next try succeeds."""
    others.calm.set()
    return "; left alone when it had given way to them"


AFTER = {False: stopped, True: left_alone}
