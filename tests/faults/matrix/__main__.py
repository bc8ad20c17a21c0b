"""The fault matrix: breaks each step of each job and asserts the invariants. Runs inside an installed machine, as root.

usage: python3 tests/faults/matrix [--long] [--seed N] [--half 0|1] [--only WORDS [--case N]] [--results DIR [--lane 1/3 | --report]]
                                   [--commit NAME] [--markdown FILE] [TABLE]

The invariants: no false success, no proven set lost, all damage detected, nothing left over, and the next run repairs everything.
The table (matrix.tsv) says what else each row must show. The same seed gives the same random cases.
"""

import argparse
import os
import sys
import tempfile
import time

import report
import table
from results import Results
from runner import Runner
from world.bench import Bench


def main():
    options = arguments()
    with tempfile.TemporaryDirectory() as own:
        results = Results(options.results or own, f"seed {options.seed}, commit {options.commit}", options.long)
        rows = [row for row in table.read(options.table) if options.only in str(row) and row.cases(options.long) != "0"]
        if options.half is not None:
            rows = rows[options.half::2]
        if not options.report:
            print(f"seed {options.seed}", flush=True)
            run(rows, results, options)
        # With several lanes, none knows when all are done.
        return 0 if options.lane else tell(rows, results, options)


def arguments():
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(prog="matrix", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true", help="all cases, not a sample")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--half", type=int, choices=(0, 1), help="only every second row, from the first or the second on")
    parser.add_argument("--only", default="", help="only rows that contain these words")
    parser.add_argument("--case", type=int, help="only the case of this number")
    parser.add_argument("--results", help="store results in this directory, and run only rows without a result there, or with failures")
    parser.add_argument("--lane", help="the number of this machine, and of all that share the rows, as 1/3")
    parser.add_argument("--report", action="store_true", help="run nothing, only print the results")
    parser.add_argument("--commit", default="unknown", help="the state of the code, for the table of results")
    parser.add_argument("--markdown", help="write the table of results to this file too")
    parser.add_argument("table", nargs="?", default=os.path.join(here, "..", "matrix.tsv"))
    return parser.parse_args()


def run(rows, results, options):
    """Runs the rows that no other lane has taken. Each lane begins elsewhere, so that few jobs are set up twice."""
    lane, lanes = map(int, (options.lane or "1/1").split("/"))
    first = len(rows) * (lane - 1) // lanes
    with Bench() as bench:
        runner = Runner(bench, options.seed, options.long)
        for row in rows[first:] + rows[:first]:
            if not results.take(row):
                continue
            result = runner.row(row, options.case)
            results.keep(result)
            print(f"{'FAILED' if result.failed else 'ok'} {row}: {result.struck} cases, {result.seconds:.1f} s", flush=True)


def tell(rows, results, options):
    """Prints the tables. A row that was not run counts as failed."""
    found = [result for row in rows if (result := results.read(row))]
    print("", report.text(found), "", *report.summary(found), sep="\n")
    missing = [str(row) for row in rows if not results.read(row)]
    if options.markdown:
        with open(options.markdown, "w", encoding="utf-8") as file:
            file.write(report.markdown(found, "all cases" if options.long else "a sample", missing))
    for row in missing:
        print(f"FAILED {row}: not run")
    passed, failed = sum(r.struck for r in found), sum(r.failed for r in found) + len(missing)
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
