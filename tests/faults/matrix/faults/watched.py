"""What nexus-health watches hangs while it looks; and the disk to which it tells is full, read-only, or its directory gone."""

import os
import shutil
import time

from world.machine import await_that, run
from world.running import signal_all
from world.wrong import FalseSuccess, NotConverged

SERVERS = {"postgres": "postgres", "redis": "redis-server"}


def hangs(job, row, case):
    """`argument` names the server: it must be said to be critical while it hangs, and well again after, by the same process."""
    running = job.start()
    running.tells(1)
    name = SERVERS[row.argument]
    signal_all({name}, "STOP")
    try:
        job.await_level(row.argument, "critical")
        job.require_no_false_well()
        # Written in the same round, after what people read.
        await_that(lambda: knows_no_better(job.read("metrics/nexus.prom"), row.argument),
                   "the metrics have no number of a server that hangs", error=FalseSuccess)
    finally:
        signal_all({name}, "CONT")
    job.await_level(row.argument, "ok")
    job.server.await_answer()
    return running.end(f"{row.argument} hangs until it is said to")


def knows_no_better(metrics, server):
    return f"nexus_{server}_up 0\n" in metrics and f"nexus_{server}_round_trip_seconds" not in metrics


def docker_hangs(job, row, case):
    """The daemon says nothing: one check waits for it, all others go on, and it is said."""
    running = job.start()
    running.tells(1)
    signal_all({"dockerd"}, "STOP")
    try:
        await_that(lambda: job.levels().get("docker") == "critical" or job.levels().get("check-docker") == "unknown",
                   "Docker is said not to answer", error=FalseSuccess)
        if not running.tells(2):
            raise NotConverged("it tells nothing while Docker hangs")
        job.require_no_false_well()
    finally:
        signal_all({"dockerd"}, "CONT")
    await_that(lambda: job.levels().get("docker") == "ok" and job.levels().get("check-docker") == "ok", "Docker is well again")
    return running.end("dockerd hangs until it is said to")


def disk(job, row, case):
    """`argument`: `full`, `read-only`, `gone`. It says so, goes on, and tells again when there is room, without a new start."""
    run("mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", job.home)
    try:
        for name in ("run", "state", "metrics"):
            os.makedirs(os.path.join(job.home, name))
        running = job.start()
        running.tells(1)
        mend = BREAK[row.argument](job.home)
        before = job.told()
        # Nothing tells that it could not tell but its own words; after three of its rounds it has had to say them.
        running.wait_until(time.monotonic() - running.began + 3)
        job.require_whole()
        mend()
        await_that(lambda: job.told() not in (None, before), "it tells again", error=NotConverged)
        outcome = running.end(f"the disk of its files: {row.argument}")
        if "health.json" not in outcome.said:
            raise FalseSuccess("it has not said that it cannot tell")
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
