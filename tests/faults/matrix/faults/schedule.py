"""Other sessions work on the tables during a backup."""

import threading

from world.others import Others

# Seconds; every wait of a job has a limit of its own that is shorter.
PATIENCE = 90


def beside(job, row, case):
    """As `others`, in the database of a job that does not back up; nobody reads along."""
    with Others(job.server, job.database, row.step, case.rng, int(row.argument)) as others:
        outcome = job.start().end(patience=PATIENCE)
    outcome.what = f"{others.done} changes by {row.argument} others"
    job.server.leave(job.database)
    return outcome


def others(job, row, case):
    """`step` is what the others do (world/others.py), `argument` how many they are."""
    with Others(job.server, job.database, row.step, case.rng, int(row.argument), job.duration) as others:
        running = job.start()
        # Most have done what they wanted after a while: as long as they go on, a backup gives way to them again and again.
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
    """The set is said to be none for now, which is what may be said; it takes minutes to be said for good."""
    if running.hold():
        # Its next try may have succeeded since.
        if not job.has_a_set():
            running.send("TERM")
        running.go_on()
    return "; stopped when it had given way to them"


def left_alone(job, running, others):
    """The others have done what they wanted: the next try succeeds."""
    others.calm.set()
    return "; left alone when it had given way to them"


AFTER = {False: stopped, True: left_alone}
