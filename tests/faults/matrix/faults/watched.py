"""A server hangs while nexus-health checks it; or the disk of nexus-health's files is full, read-only, or the directory gone."""

import os
import shutil
import time

from world.machine import await_that, run
from world.running import signal_all
from world.wrong import FalseSuccess, NotConverged

SERVERS = {"postgres": "postgres", "redis": "redis-server"}


def hangs(job, row, case):
    """`argument` names the server. The same process must report it as critical while it hangs, and as well afterwards."""
    running = job.start()
    running.tells(1)
    name = SERVERS[row.argument]
    signal_all({name}, "STOP")
    try:
        job.await_level(row.argument, "critical")
        job.require_no_false_well()
        # The same round writes the metrics, after the file for people.
        await_that(lambda: knows_no_better(job.read("metrics/nexus.prom"), row.argument),
                   "the metrics have no number of a server that hangs", error=FalseSuccess)
    finally:
        signal_all({name}, "CONT")
    job.await_level(row.argument, "ok")
    job.server.await_answer()
    return running.end(f"{row.argument} hangs until it is reported")


def knows_no_better(metrics, server):
    return f"nexus_{server}_up 0\n" in metrics and f"nexus_{server}_round_trip_seconds" not in metrics


def docker_hangs(job, row, case):
    """The daemon does not answer: one check waits for it, all others go on, and nexus-health reports it."""
    running = job.start()
    running.tells(1)
    signal_all({"dockerd"}, "STOP")
    try:
        await_that(lambda: job.levels().get("docker") == "critical" or job.levels().get("check-docker") == "unknown",
                   "nexus-health reports that Docker does not answer", error=FalseSuccess)
        if not running.tells(2):
            raise NotConverged("it reports nothing while Docker hangs")
        job.require_no_false_well()
    finally:
        signal_all({"dockerd"}, "CONT")
    await_that(lambda: job.levels().get("docker") == "ok" and job.levels().get("check-docker") == "ok", "Docker is well again")
    return running.end("dockerd hangs until it is reported")


def disk(job, row, case):
    """`argument`: `full`, `read-only`, `gone`. nexus-health says so, goes on, and writes again once it can, without a restart."""
    run("mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", job.home)
    try:
        for name in ("run", "state", "metrics"):
            os.makedirs(os.path.join(job.home, name))
        running = job.start()
        running.tells(1)
        mend = BREAK[row.argument](job.home)
        before = job.told()
        # Only its messages show that it could not write; after three rounds they must be there.
        running.wait_until(time.monotonic() - running.began + 3)
        job.require_whole()
        mend()
        await_that(lambda: job.told() not in (None, before), "it writes again", error=NotConverged)
        outcome = running.end(f"the disk of its files: {row.argument}")
        if "health.json" not in outcome.said:
            raise FalseSuccess("it has not reported that it cannot write")
        job.holds(outcome)
        return outcome
    finally:
        run("umount", job.home)


def fill(home):
    ballast = os.path.join(home, "ballast")
    with open(ballast, "wb") as file:
        try:
            while True:
                file.write(b"x" * 4096)
                file.flush()
        except OSError:
            pass
    return lambda: os.unlink(ballast)


def make_read_only(home):
    run("mount", "-o", "remount,ro", home)
    return lambda: run("mount", "-o", "remount,rw", home)


def take_away(home):
    for name in ("run", "metrics"):
        shutil.rmtree(os.path.join(home, name))

    def put_back():
        for name in ("run", "metrics"):
            os.makedirs(os.path.join(home, name))
    return put_back


BREAK = {"full": fill, "read-only": make_read_only, "gone": take_away}
