"""Two runs at once: one goes first, the other works after it or reports who holds the lock."""

from jobs.job import with_options
from world.machine import await_that
from world.running import held_at_a_moment
from world.wrong import WrongEnd


def two(job, row, case):
    """`argument` names the other job, in the same directory. The first run is stopped at a random moment until the other has begun,
    or, every other time, until the other has ended or waits. Then both run."""
    other = job.bench.job(row.argument)
    first, moment = held_at_a_moment(job, case.rng)
    second = job.start_other(with_options(other.command, job.same_place()))
    if case.rng.random() < 0.5:
        await_that(lambda: not second.runs() or second.waits(), "the second run has ended or waits")
    first.go_on()
    outcome, ended = first.end(f"{row.argument} after {moment:.3f} s"), second.end()
    # For another kind of job, only the exit code counts.
    outcome.other = ended if row.argument == row.job else None
    outcome.rotated_by_another = row.argument == "rotation" and ended.exit == 0
    for one in (outcome, ended):
        if one.exit not in (0, 75):
            raise WrongEnd(f"one of the two exits with {one.exit}: {one.said.strip()}")
    if 0 not in (outcome.exit, ended.exit):
        raise WrongEnd(f"neither succeeds: {outcome.said.strip()} / {ended.said.strip()}")
    return outcome
