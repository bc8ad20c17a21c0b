"""pg_dump and similar tools die, hang, or print rubbish."""

import os

from jobs.job import TOOLS
from world.running import signal_all

LIAR = os.path.join(os.path.dirname(os.path.abspath(__file__)), "liar")

OPTIONS = {"pg_dump": "--pg-dump", "pg_dumpall": "--pg-dumpall", "pg_restore": "--pg-restore"}


def disturbed(job, row, case):
    """Disturbs the real tool in the container as `argument` says, as soon as it runs."""
    running = job.start()
    struck = running.wait_for(lambda: signal_all({row.step}, "KILL" if row.argument == "kill" else "STOP") > 0)
    what = f"{row.step}: {row.argument}"
    if row.argument == "stand-still":
        signal_all({row.step}, "CONT")
    elif row.argument == "hang" and struck:
        # systemd ends a job with a hanging tool after its time limit, by SIGTERM.
        running.send("TERM")
    try:
        return running.end(what, struck)
    finally:
        signal_all({row.step}, "CONT")


def lies(job, row, case):
    """Replaces the tool by a program that behaves as `argument` says after some bytes."""
    after = case.rng.randint(0, 3000)
    command = f"{OPTIONS[row.step]}={LIAR} {row.argument} {after} {TOOLS}/{row.step}"
    running = job.start(extra=[command])
    if row.argument == "hangs":
        running.wait_for(lambda: signal_all({"liar"}, "CONT") > 0)
        running.send("TERM")
    return running.end(f"{row.step} {row.argument} after {after} bytes")
