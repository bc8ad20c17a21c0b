"""A running job, and its outcome."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import time

from world.machine import PATIENCE, processes


# How often to try to stop a job in time; each try is twice as early, on average.
AGAIN = 30


@dataclasses.dataclass
class Outcome:
    """How a run under a fault ended."""

    # Exit code, or minus the signal's number.
    exit: int
    # Its standard error, and its standard output; on a terminal both are one.
    said: str
    answer: "str | None" = ""
    # Whether the fault has hit it.
    struck: bool = True
    # A description of the case.
    what: str = ""
    # Whether the times in the names of sets are right.
    clock_is_true: bool = True
    # The outcome of another run at the same time.
    other: "Outcome | None" = None
    # Whether another run at the same time has only rotated.
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
        """Waits for a moment, in seconds after the start, or for its end. Only here a random moment is wanted, not a condition."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(max(0.0, self.began + moment - time.monotonic()))
        return self.runs()

    def wait_for(self, condition):
        """Waits for a condition while it runs; returns whether the condition became true."""
        while self.runs():
            if condition():
                return True
            time.sleep(0.0005)
        return condition()

    def send(self, name):
        """Sends it a signal; returns whether a process received it."""
        if not self.runs():
            return False
        self.process.send_signal(getattr(signal, "SIG" + name))
        return True

    def hold(self):
        """Stops it until `go_on`, and waits until it is stopped; returns whether it still runs."""
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
        """Waits for its end, and returns the outcome. Kills a run that does not end in time, which counts as a failure."""
        try:
            answer, said = self.process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            self.process.kill()
            _, said = self.process.communicate()
            return Outcome(-signal.SIGALRM, f"did not end within {patience} s; {said}", "", struck, what)
        return Outcome(self.process.returncode, said, answer, struck, what)


def state(pid):
    """Returns the kernel's state of a process (proc_pid_stat(5)); `X` without a process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def held_at_a_moment(job, rng, share=1.0, kind=None):
    """Starts the job, stops it at a random moment, and returns both. Repeats a run that has ended before, and stops it earlier, because
    the machine may be faster than when the job was timed."""
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
    """Sends a signal to every process of these names; returns their number."""
    found = processes(names)
    for pid, _ in found:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, getattr(signal, "SIG" + how))
    return len(found)
