"""PostgreSQL, Redis or Docker's daemon dies, stops responding, or restarts while the job runs."""

import contextlib
import os
import signal
import subprocess
import time

from world.machine import processes, run
from world.running import signal_all

STANDS_STILL = 0.4


def disturbed(job, row, case):
    """`step` names the server, `argument` what happens to it at a random moment."""
    running = job.start()
    moment = case.rng.random() * job.duration * 0.8
    struck = running.wait_until(moment)
    BEFALL[row.step](job, row.argument)
    outcome = running.end(f"{row.step}: {row.argument} after {moment:.3f} s", struck)
    job.server.await_answer()
    return outcome


def postgres(job, how):
    if how == "kill":
        # All processes at once, as if the container were lost.
        run("docker", "kill", "--signal=KILL", "nexus-postgres")
    elif how == "crash":
        # One session dies; the server ends all others and recovers.
        with contextlib.suppress(ProcessLookupError):
            os.kill(a_session(), signal.SIGKILL)
    elif how == "end-sessions":
        job.server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ '^(nexus-|pg_)'")
    elif how == "stand-still":
        stand_still({"postgres"})
    elif how == "restart":
        run("docker", "restart", "--time=5", "nexus-postgres")


def a_session():
    """Returns the PID of a session in a database of the cases, else of a process that the server needs."""
    by_title = {}
    for pid, _ in processes({"postgres"}):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{pid}/cmdline", encoding="utf-8") as file:
            by_title[file.read()] = pid
    ours = [pid for title, pid in by_title.items() if " fault_" in title]
    return ours[0] if ours else next(pid for title, pid in by_title.items() if "walwriter" in title)


def redis(job, how):
    if how == "kill":
        run("docker", "kill", "--signal=KILL", "nexus-redis")
    elif how == "stand-still":
        stand_still({"redis-server"})
    elif how == "restart":
        run("docker", "restart", "--time=5", "nexus-redis")


def docker(job, how):
    if how == "kill":
        run("systemctl", "kill", "--signal=KILL", "docker.service")
    elif how == "stand-still":
        stand_still({"dockerd"})
        return
    elif how == "restart":
        run("systemctl", "restart", "docker.service")
    # The servers die with the daemon, and come back with the stack.
    subprocess.run(["systemctl", "reset-failed", "docker.service"], check=False)
    run("systemctl", "start", "docker.service")
    run("systemctl", "restart", "nexus-stack.service")


def asked(job, how):
    """Disturbs nexus-docker itself, between the job and the daemon."""
    signal_all({"nexus-docker"}, "KILL")


def throwaway(job, how):
    """Disturbs the throwaway server of a restore test."""
    for container in run("docker", "ps", "--quiet", "--filter", "label=nexus.scratch").split():
        subprocess.run(["docker", "kill" if how == "kill" else "pause", container], capture_output=True, check=False)
        if how == "stand-still":
            # The length of the pause is the fault, not a wait for a condition.
            time.sleep(STANDS_STILL)
            subprocess.run(["docker", "unpause", container], capture_output=True, check=False)


def stand_still(names):
    signal_all(names, "STOP")
    try:
        # The length of the pause is the fault, not a wait for a condition.
        time.sleep(STANDS_STILL)
    finally:
        signal_all(names, "CONT")


BEFALL = {"postgres": postgres, "redis": redis, "docker": docker, "nexus-docker": asked, "throwaway": throwaway}
