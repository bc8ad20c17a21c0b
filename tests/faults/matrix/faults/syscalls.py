"""The n-th system call of a kind fails, or the process dies at it, by strace."""

import collections
import re
import tempfile

from world.machine import PATIENCE
from world.running import Outcome

STRACE = ["strace", "--follow-forks", "--quiet=all"]

# If strace injects an error into a working connection, pg_restore's libpq waits forever for the server.
OWN_ONLY = {"sendto": ["--detach-on=execve"]}

# Only the named calls stop the process; all others run at full speed. It does not work with signals.
QUICK = "--seccomp-bpf"


def error(job, row, case):
    """`step` names the calls, `argument` the error. Each thread counts its own calls."""
    return injected(job, row.step, f"error={row.argument}", case.number)


def signal(job, row, case):
    """`argument` names the signal to send at the call."""
    return injected(job, row.step, f"signal={row.argument}", case.number)


def injected(job, calls, what, number):
    with tempfile.NamedTemporaryFile("r", prefix="strace-", errors="replace") as trace:
        is_error, own_only = what.startswith("error"), OWN_ONLY.get(calls, [])
        # Either is only an optimisation.
        quick = own_only or [QUICK] if is_error else []
        prefix = [*STRACE, *quick, f"--output={trace.name}", f"--trace={calls}", f"--inject={calls}:{what}:when={number}"]
        outcome: Outcome = job.start(prefix).end(f"{calls}:{what}:when={number}", patience=PATIENCE)
        text = trace.read()
    # A daemon is also stopped by a SIGTERM that is no fault: only the injected signal counts.
    meant = re.escape(what.removeprefix("signal="))
    outcome.struck = bool(re.search(r"\(INJECTED\)" if is_error else rf"^\d+ +(---|\+\+\+ killed by) SIG{meant}\b", text, re.M))
    return outcome


def how_many(job, calls):
    """Returns the most calls of these kinds that one thread makes in an undisturbed run. One run serves all rows."""
    if job.calls is None:
        job.calls = calls_of(job)
    by_thread = collections.Counter()
    for (thread, call), count in job.calls.items():
        if call in calls.split(","):
            by_thread[thread] += count
    return max(by_thread.values(), default=0)


def calls_of(job):
    """Returns how often each thread made each call."""
    job.begin()
    with tempfile.NamedTemporaryFile("r", prefix="strace-", errors="replace") as trace:
        outcome = job.start([*STRACE, f"--output={trace.name}"]).end()
        if outcome.exit != 0:
            raise AssertionError(f"under strace it exits with {outcome.exit}: {outcome.said}")
        return collections.Counter(re.findall(r"^(\d+) +(\w+)\(", trace.read(), re.M))
