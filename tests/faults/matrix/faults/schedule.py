"""Others work on the tables while they are backed up."""

from world.others import Others

# Seconds; every wait of a job has a limit of its own that is shorter.
PATIENCE = 60


def beside(job, row, case):
    """As `others`, in the database of a job that does not back up; nobody reads along."""
    with Others(job.server, job.database, row.step, case.rng, int(row.argument)) as others:
        outcome = job.start().end(patience=PATIENCE)
    outcome.what = f"{others.done} changes by {row.argument} others"
    job.server.leave(job.database)
    return outcome


def others(job, row, case):
    """`step` is what the others do (world/others.py), `argument` how many they are."""
    with Others(job.server, job.database, row.step, case.rng, int(row.argument)) as others:
        running = job.start()
        job.watch(running, PATIENCE)
        outcome = running.end(patience=1)
    outcome.what = f"{others.done} changes by {row.argument} others"
    return outcome
