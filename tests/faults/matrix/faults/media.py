"""The file system of the sets fails or lies at its n-th operation of a kind: `step` names the kind, `argument` the error or the lie."""


def wrong(job, row, case):
    job.medium.order(row.step, row.argument, case.number)
    outcome = job.start().end(f"{row.step} {case.number}: {row.argument}")
    outcome.struck = job.medium.end_order()
    return outcome


def how_many(job, operation):
    """Returns the number of these operations in an undisturbed run."""
    job.begin()
    job.medium.order(operation, "never", 0)
    job.undisturbed()
    return job.medium.counts().get(operation, 0)
