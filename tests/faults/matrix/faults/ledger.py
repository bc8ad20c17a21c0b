"""The purge ledger is damaged, lost, or cannot be written. Then no row may be deleted."""

import os
import shutil

from faults.damage import emptied, flip, line_missing, lines_of, missing, write_lines
from jobs.deleting import LEDGER
from world.machine import run
from world.wrong import Wrong


def wrong(job, row, case):
    """`step` names the file, `argument` the damage."""
    name = {"ledger": LEDGER, "head": LEDGER.replace(".jsonl", ".head")}.get(row.step, "")
    path, before, env = os.path.join(job.ledger, name), job.left(), None
    what = row.argument
    if row.argument in DAMAGE:
        what, _ = DAMAGE[row.argument](path, None, case.rng)
    elif row.argument == "read-only":
        run("mount", "--bind", path, path)
        run("mount", "-o", "remount,bind,ro", path)
    else:
        env = {"NEXUS_CREDENTIALS": key(job, row.argument)}
    outcome = job.start(env=env).end(f"{row.step}: {what}")
    if row.argument == "read-only":
        run("umount", path)
    if outcome.exit != 0 and job.left() != before:
        raise Wrong(f"it failed, but only {job.left()} of {before} rows are left")
    job.reset_ledger()
    return outcome


def key(job, how):
    """Uses a directory of credentials with another key, or none."""
    directory = job.path("credentials")
    shutil.rmtree(directory, ignore_errors=True)
    shutil.copytree("/etc/nexus/credentials", directory)
    path = os.path.join(directory, "ledger_key")
    os.unlink(path)
    if how == "other-key":
        with open(path, "w", encoding="ascii") as file:
            file.write(os.urandom(32).hex() + "\n")
    return directory


def cut(path, _, rng):
    """Cuts within a line. A cut at its end would look like a killed run, which the head of the ledger may permit."""
    size, last = os.path.getsize(path), len(lines_of(path)[-1])
    by = rng.randint(1, size - 1)
    os.truncate(path, size - by)
    return f"the last {by} of {size} bytes cut off, the last line having {last}", None


def lines_exchanged(path, _, rng):
    lines = lines_of(path)
    one, other = rng.sample(range(len(lines)), 2)
    lines[one], lines[other] = lines[other], lines[one]
    write_lines(path, lines)
    return "two lines exchanged", None


DAMAGE = {"flip": flip, "cut": cut, "line-missing": line_missing, "lines-exchanged": lines_exchanged, "missing": missing,
          "emptied": emptied}
