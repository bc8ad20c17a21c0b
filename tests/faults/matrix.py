#!/usr/bin/env python3
"""The fault matrix: breaks each step of a job and asserts what must always hold. Inside an installed machine, as root.

usage: matrix.py [--seed N] [--only JOB] [--times FACTOR] [MATRIX.tsv]

For every case: a run that says it succeeded has left a set that is whole, one that failed has left no new name; every
older set is byte for byte what it was; no process and no session of ours lives on; and the next run, undisturbed,
succeeds and sweeps what was left. A case is named by job, fault, argument and number; with the same seed the
random ones are the same again.
"""

import argparse
import collections
import os
import random
import sys
import time

import steps

Row = collections.namedtuple("Row", "job fault argument often")


def rows(path):
    with open(path, encoding="utf-8") as table:
        for line in table:
            if line.strip() and not line.startswith("#"):
                yield Row(*line.rstrip("\n").split("\t"))


def cases(row, job, rng, factor):
    """Runs the cases of a row; yields (name, what went wrong or None)."""
    if row.often == "every":
        number = 1
        while True:
            injected, wrong = steps.injected(job, row.argument, number)
            yield f"{row.argument}:when={number}", wrong
            if not injected:
                return
            # A step that differs each time finds rare paths with fewer cases when there are very many of them.
            number += 1 if number < 60 else rng.randint(1, max(1, number // 20))
    for number in range(max(1, int(int(row.often) * factor))):
        at = rng.random()
        yield f"{row.argument} at {at:.3f} ({number + 1})", getattr(steps, row.fault)(job, row.argument, at)


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only")
    parser.add_argument("--times", type=float, default=1.0)
    parser.add_argument("matrix", nargs="?", default=os.path.join(here, "matrix.tsv"))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)

    passed = failed = 0
    table = []
    with steps.Bench() as bench:
        for row in rows(options.matrix):
            if options.only not in (None, row.job):
                continue
            rng = random.Random(f"{options.seed} {row}")
            began, good, bad = time.monotonic(), 0, 0
            for name, wrong in cases(row, bench.job(row.job), rng, options.times):
                if wrong is None:
                    good += 1
                else:
                    bad += 1
                    print(f"FAILED {row.job} {row.fault} {name}: {wrong}", flush=True)
            seconds = time.monotonic() - began
            table.append((row.job, row.fault, row.argument, good, bad, seconds))
            print(f"{'ok' if bad == 0 else 'FAILED'} {row.job} {row.fault} {row.argument}: {good + bad} cases", flush=True)
            passed, failed = passed + good, failed + bad

    print(f"\n{'job':<14}{'fault':<10}{'argument':<26}{'passed':>7}{'failed':>7}{'time':>8}")
    for job, fault, argument, good, bad, seconds in table:
        print(f"{job:<14}{fault:<10}{argument:<26}{good:>7}{bad:>7}{seconds:>7.0f} s")
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main())
