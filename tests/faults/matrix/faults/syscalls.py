"""A system call fails, or the process dies at it: the n-th of its kind, by strace."""

import collections
import re
import tempfile

from world.machine import PATIENCE
from world.running import Outcome

STRACE = ["strace", "--follow-forks", "--quiet=all"]

# pg_restore's libpq waits for ever for what a server says whose connection is called broken and is not.
OWN_ONLY = {"sendto": ["--detach-on=execve"]}

# Only the calls that are meant stop the process; all others run at full speed. Signals do not come with it.
QUICK = "--seccomp-bpf"


def error(job, row, case):
    """`step` names the calls, `argument` the error. Each thread counts its own calls."""
    return injected(job, row.step, f"error={row.argument}", case.number)


def signal(job, row, case):
    """`argument` names the signal that comes at the call."""
    return injected(job, row.step, f"signal={row.argument}", case.number)


def injected(job, calls, what, number):
    with tempfile.NamedTemporaryFile("r", prefix="strace-", errors="replace") as trace:
        is_error, own_only = what.startswith("error"), OWN_ONLY.get(calls, [])
        # One of the two; without either it would be right too.
        quick = own_only or [QUICK] if is_error else []
        prefix = [*STRACE, *quick, f"--output={trace.name}", f"--trace={calls}", f"--inject={calls}:{what}:when={number}"]
        outcome: Outcome = job.start(prefix).end(f"{calls}:{what}:when={number}", patience=PATIENCE)
        text = trace.read()
    # A daemon is stopped by a SIGTERM too, which is no fault: only the one that was meant counts.
    meant = re.escape(what.removeprefix("signal="))
    outcome.struck = bool(re.search(r"\(INJECTED\)" if is_error else rf"^\d+ +(---|\+\+\+ killed by) SIG{meant}\b", text, re.M))
    return outcome


def how_many(job, calls):
    """The most calls of these kinds that one thread makes in a run that nobody disturbs: one run, looked at for all rows."""
    if job.calls is None:
        job.calls = calls_of(job)
    by_thread = collections.Counter()
    for (thread, call), count in job.calls.items():
        if call in calls.split(","):
            by_thread[thread] += count
    return max(by_thread.values(), default=0)


def calls_of(job):
    """How often each thread made each call."""
    job.begin()
    with tempfile.NamedTemporaryFile("r", prefix="strace-", errors="replace") as trace:
        outcome = job.start([*STRACE, f"--output={trace.name}"]).end()
        if outcome.exit != 0:
            raise AssertionError(f"under strace it ends with {outcome.exit}: {outcome.said}")
        return collections.Counter(re.findall(r"^(\d+) +(\w+)\(", trace.read(), re.M))
