"""A job that runs, and how it ended."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import time

from world.machine import PATIENCE, processes


# Each time it is held twice as soon, on average.
AGAIN = 30


@dataclasses.dataclass
class Outcome:
    """How a run under a fault ended."""

    # Exit code, or minus the signal's number.
    exit: int
    # What it said on standard error, and on standard output.
    said: str
    answer: str = ""
    # Whether the fault has met it.
    struck: bool = True
    # What was done, in the words that name the case.
    what: str = ""
    # Whether the times in the names of sets can be believed.
    clock_is_true: bool = True
    # How it ended, of another run that went on at the same time.
    other: "Outcome | None" = None
    # Whether another run, at the same time, has removed what is too old and made nothing.
    rotated_by_another: bool = False


class Running:
    """A job's process."""

    def __init__(self, command, env=None):
        self.began = time.monotonic()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        text=True, errors="replace", env={**os.environ, **(env or {})})

    def runs(self):
        return self.process.poll() is None

    def wait_until(self, moment):
        """Waits for a moment, in seconds after the start; sooner when it ends. This is the one place where time is what
        is wanted, and not a condition."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.0, self.began + moment - time.monotonic()))
        return self.runs()

    def wait_for(self, condition):
        """Waits for something to be so while it runs; says whether it became so."""
        while self.runs():
            if condition():
                return True
            time.sleep(0.0005)
        return condition()

    def send(self, name):
        """Sends it a signal; says whether there was anybody to get it."""
        if not self.runs():
            return False
        self.process.send_signal(getattr(signal, "SIG" + name))
        return True

    def hold(self):
        """Stops it until `go_on`, when it has come to rest; says whether it still runs."""
        if not self.send("STOP"):
            return False
        while self.runs():
            if state(self.process.pid) == "T":
                return True
            time.sleep(0.0005)
        return False

    def go_on(self):
        self.send("CONT")

    def waits(self):
        """Whether its first thread waits for something."""
        return state(self.process.pid) == "S"

    def end(self, what="", struck=True, patience=PATIENCE):
        """Its end. One that does not end within a minute has broken its promise, and is killed."""
        try:
            answer, said = self.process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, said = self.process.communicate()
            return Outcome(-signal.SIGALRM, f"did not end within {patience} s; {said}", "", struck, what)
        return Outcome(self.process.returncode, said, answer, struck, what)


def state(pid):
    """The kernel's letter for what a process does (proc_pid_stat(5)); `X` when there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def held_at_a_moment(job, rng, share=1.0, kind=None):
    """Starts the job and holds it at a random moment of its run, and gives both. A run that has ended by then is begun again and held
    sooner: a machine is not always as quick as when the job was timed."""
    for _ in range(AGAIN):
        running = kind(job.command) if kind else job.start()
        moment = rng.random() * job.duration * share
        running.wait_until(moment)
        if running.hold():
            return running, moment
        running.end()
        job.duration = moment
        job.begin()
    raise AssertionError(f"{AGAIN} runs ended before they could be held")


def signal_all(names, how):
    """Sends a signal to every process of these names; says how many there were."""
    found = processes(names)
    for pid, _ in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, getattr(signal, "SIG" + how))
    return len(found)
