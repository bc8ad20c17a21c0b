"""The machine: commands, waiting, processes, and what must not be left of them."""

import contextlib
import os
import signal
import subprocess
import time

from world.wrong import Leftover

# Seconds that anything may take: a hundred times what it does, on a machine that has nothing else to do.
PATIENCE = 150

# As the kernel names them: the first fifteen letters.
OURS = {"nexus-purge", "nexus-backup", "nexus-restore", "nexus-restore-t", "nexus-docker", "pg_dump", "pg_dumpall", "pg_restore", "liar"}


def run(*words, **options):
    """The standard output of a command that must succeed."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, **options)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(words)} fails with {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def await_that(condition, what, seconds=PATIENCE, error=AssertionError):
    """Waits until condition() is true. The pause is only between two looks, and longer the longer it takes: looking costs too."""
    end, pause = time.monotonic() + seconds, 0.005
    while not condition():
        if time.monotonic() > end:
            raise error(f"waited {seconds} s in vain until {what}")
        time.sleep(pause)
        pause = min(2 * pause, 0.1)


def processes(names):
    """PID and name of every living process of these names."""
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
    """No process, no session and no lock of ours lives on."""
    left = []

    def is_clear():
        left[:] = processes(OURS) or server.sessions()
        return not left

    try:
        await_that(is_clear, "nothing of ours lives", 60, Leftover)
    except Leftover as wrong:
        found = list(left)
        end_all()
        raise Leftover(f"{wrong}: {found}") from None


def end_all():
    """So that the next case is not blamed for what one has left."""
    for pid, _ in processes(OURS):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
