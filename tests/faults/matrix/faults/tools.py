"""pg_dump and its like die, hang, or print rubbish."""

import os

from jobs.job import TOOLS
from world.running import signal_all

LIAR = os.path.join(os.path.dirname(os.path.abspath(__file__)), "liar")

OPTIONS = {"pg_dump": "--pg-dump", "pg_dumpall": "--pg-dumpall", "pg_restore": "--pg-restore"}


def disturbed(job, row, case):
    """The real tool, in the container: `argument` befalls it as soon as it is there."""
    running = job.start()
    struck = running.wait_for(lambda: signal_all({row.step}, "KILL" if row.argument == "kill" else "STOP") > 0)
    what = f"{row.step}: {row.argument}"
    if row.argument == "stand-still":
        signal_all({row.step}, "CONT")
    elif row.argument == "hang" and struck:
        # A tool that hangs is ended by whoever ends the job: systemd, after its time, by SIGTERM.
        running.send("TERM")
    try:
        return running.end(what, struck)
    finally:
        signal_all({row.step}, "CONT")


def lies(job, row, case):
    """A program that poses as the tool, which `argument` says what to do after some bytes."""
    after = case.rng.randint(0, 3000)
    command = f"{OPTIONS[row.step]}={LIAR} {row.argument} {after} {TOOLS}/{row.step}"
    running = job.start(extra=[command])
    if row.argument == "hangs":
        running.wait_for(lambda: signal_all({"liar"}, "CONT") > 0)
        running.send("TERM")
    return running.end(f"{row.step} {row.argument} after {after} bytes")
