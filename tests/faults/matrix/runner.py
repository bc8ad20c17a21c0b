"""Runs the cases of a row and counts them."""

import collections
import dataclasses
import random
import subprocess
import time
import traceback

import faults
from results import Result
from world import docker
from world.machine import end_all, nothing_is_left
from world.wrong import Leftover, Wrong

# A row stops after this many failures.
ENOUGH = 10

# How often to try a case whose fault did not hit the job, each time at another moment.
TRIES = 20

# The errors of a failed case; any other is a bug of the matrix itself.
BROKEN = (Wrong, AssertionError, OSError, ValueError, subprocess.SubprocessError)


@dataclasses.dataclass(frozen=True)
class Case:
    """One case of a row. The same seed and number give the same random numbers."""

    number: int
    rng: random.Random


class Runner:
    """Runs rows on a bench; prints each case that fails, with the arguments that repeat it."""

    def __init__(self, bench, seed, long):
        self.bench, self.seed, self.long = bench, seed, long

    def row(self, row, only=None):
        result, began = Result(row), time.monotonic()
        # Earlier rows may have restarted the server.
        self.bench.server.leave_all()
        there = docker.containers() | docker.volumes()
        try:
            job = self.bench.job(row.job)
        except BROKEN as wrong:
            # The next row sets up the job again.
            self.failed(result, row, 0, Wrong(f"the job cannot be set up: {wrong}"))
            return result
        for number in [only] if only else self.numbers(row, job):
            outcome = self.until_it_meets(row, job, number, result)
            if row.cases(self.long) == "every" and outcome and not outcome.struck or result.failed >= ENOUGH:
                break
        now = docker.containers() | docker.volumes()
        if there != now:
            self.failed(result, row, 0, Leftover(f"containers and volumes were {there}, are {now}"))
        # A row whose fault rarely hits the job proves nothing.
        if not only and result.struck < result.missed and result.missed > 2:
            self.failed(result, row, 0, Wrong(f"only {result.struck} of {result.struck + result.missed} hit the job"))
        result.seconds = time.monotonic() - began
        return result

    def numbers(self, row, job):
        often = row.cases(self.long)
        if often == "every":
            # More than there can be; row() stops at the first clean run.
            return range(1, 10_000)
        if row.fault not in faults.HOW_MANY:
            return range(1, int(often) + 1)
        calls = max(1, faults.HOW_MANY[row.fault](job, row.step))
        rng = random.Random(f"{self.seed} {row}")
        return sorted(rng.sample(range(1, calls + 1), min(calls, int(often))))

    def until_it_meets(self, row, job, number, result):
        """Repeats a case that missed. A fault at a moment may come too late if the machine's speed has changed since the job was timed.
        A fault at the n-th call cannot miss by chance."""
        tries = 1 if row.fault in faults.HOW_MANY or row.cases(self.long) == "every" else TRIES
        for again in range(tries):
            numbers = random.Random(f"{self.seed} {row} {number}{f' {again}' if again else ''}")
            missed = result.missed
            outcome = self.case(row, job, Case(number, numbers), result)
            if result.missed == missed or again + 1 == tries:
                return outcome
            result.missed = missed
            result.ends -= collections.Counter([outcome.exit])
        return outcome

    def case(self, row, job, case, result):
        """Runs one case, and returns the outcome; None if the job did not run."""
        outcome = None
        try:
            job.begin()
            outcome = faults.BY_NAME[row.fault](job, row, case)
            row.expectation.judge(outcome)
            job.holds(outcome)
            nothing_is_left(self.bench.server)
            job.converges(outcome)
            nothing_is_left(self.bench.server)
        except BROKEN as wrong:
            self.failed(result, row, case.number, wrong, outcome)
            if not isinstance(wrong, Wrong):
                traceback.print_exc()
            end_all()
            return outcome
        if outcome.struck:
            result.struck += 1
            result.detected += row.expectation.word == "detected"
        else:
            result.missed += 1
        result.ends[outcome.exit] += 1
        return outcome

    def failed(self, result, row, number, wrong, outcome=None):
        result.wrong[type(wrong) if isinstance(wrong, Wrong) else Wrong] += 1
        what = f" ({outcome.what})" if outcome and outcome.what else ""
        said = f" [ended with {outcome.exit}: {outcome.said.strip()[-300:]}]" if outcome else ""
        print(f"FAILED {row}{what}: {wrong}{said}; again: --seed {self.seed} --only '{row}' --case {number}", flush=True)
