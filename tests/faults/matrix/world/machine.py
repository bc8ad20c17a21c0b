"""The machine: commands, waiting, processes and their leftovers."""

import contextlib
import os
import signal
import subprocess
import time

from world.wrong import Leftover

# Seconds that anything may take: a hundred times the usual time on an idle machine.
PATIENCE = 150

# The kernel's names: the first fifteen characters.
OURS = {"nexus-purge", "nexus-backup", "nexus-restore", "nexus-restore-t", "nexus-docker", "pg_dump", "pg_dumpall", "pg_restore", "liar"}


def run(*words, **options):
    """Runs a command that must succeed, and returns its standard output."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(words)} fails with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def await_that(condition, what, seconds=PATIENCE, error=AssertionError):
    """Waits until condition() is true. Polls less often the longer it takes, because polling costs time too."""
    end, pause = time.monotonic() + seconds, 0.005
    while not condition():
        if time.monotonic() > end:
            raise error(f"not within {seconds} s: {what}")
        time.sleep(pause)
        pause = min(2 * pause, 0.1)


def processes(names):
    """Returns PID and name of every live process of these names."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
                name, rest = file.read().split("(", 1)[1].rsplit(")", 1)
        except (FileNotFoundError, ProcessLookupError):
            continue
        if name in names and rest.split()[0] not in "ZX":
            found.append((int(pid), name))
    return found


def nothing_is_left(server):
    """Raises if a process, a session or a lock of ours is left."""
    left = []

    def is_clear():
        left[:] = processes(OURS) or server.sessions()
        return not left

    try:
        await_that(is_clear, "nothing of ours is left", 60, Leftover)
    except Leftover as wrong:
        found = list(left)
        end_all()
        raise Leftover(f"{wrong}: {found}") from None


def end_all():
    """Kills all leftovers, so that they do not fail the next case."""
    for pid, _ in processes(OURS):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
