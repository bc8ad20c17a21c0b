"""Two runs at once: one goes first, the other does its work after it or says who is at it."""

from jobs.job import with_options
from world.wrong import WrongEnd


def two(job, row, case):
    """`argument` names the other job; it starts at a random moment of the first, in the same directory."""
    first = job.start()
    moment = case.rng.random() * job.duration
    struck = first.wait_until(moment)
    other = job.bench.job(row.argument)
    other = job.start_other(with_options(other.command, job.same_place())).end()
    outcome = first.end(f"{row.argument} after {moment:.3f} s", struck)
    # Of one that does not do the same nothing is asked but how it ended.
    outcome.other = other if row.argument == row.job else None
    outcome.rotated_by_another = row.argument == "rotation" and other.exit == 0
    for one in (outcome, other):
        if one.exit not in (0, 75):
            raise WrongEnd(f"one of the two ends with {one.exit}: {one.said.strip()}")
    if 0 not in (outcome.exit, other.exit):
        raise WrongEnd(f"neither succeeds: {outcome.said.strip()} / {other.said.strip()}")
    return outcome
