"""The fault matrix: breaks each step of each job and asserts what must always hold. Inside an installed machine, as root.

usage: python3 tests/faults/matrix [--long] [--seed N] [--only WORDS [--case N]] [--markdown FILE] [TABLE]

Always: no false success, no proven set lost, all damage detected, nothing left, and the next run puts everything right.
The table (matrix.tsv) says what else each row must show. With the same seed the random cases are the same again.
"""

import argparse
import os
import sys
import time

import report
import table
from runner import Runner
from world.bench import Bench


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(prog="matrix", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", help="all cases, not a sample")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", default="", help="only rows that have these words in them")
    parser.add_argument("--case", type=int, help="only the case of this number")
    parser.add_argument("--markdown", help="write the table of results to this file too")
    parser.add_argument("table", nargs="?", default=os.path.join(here, "..", "matrix.tsv"))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)

    results = []
    with Bench() as bench:
        runner = Runner(bench, options.seed, options.long)
        for row in table.read(options.table):
            if options.only not in str(row):
                continue
            results.append(runner.row(row, options.case))
            result = results[-1]
            print(f"{'FAILED' if result.failed else 'ok'} {row}: {result.struck} cases, {result.seconds:.1f} s", flush=True)

    print("", report.text(results), "", *report.summary(results), sep="\n")
    if options.markdown:
        with open(options.markdown, "w", encoding="utf-8") as file:
            file.write(report.markdown(results, options.seed, "all cases" if options.long else "a sample"))
    passed, failed = sum(r.struck for r in results), sum(r.failed for r in results)
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
