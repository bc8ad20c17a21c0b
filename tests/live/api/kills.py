#!/usr/bin/env python3
"""Promise: kill -9 of nexus-api, nexus-embed, PostgreSQL and Redis in turn, under the load of several clients, loses no insert that
was acknowledged and makes none twice; every error is a clean one, a connection is cut only where nexus-api itself was killed,
and everything serves again by itself.

usage: kills.py [ROUNDS], each about 15 seconds.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time

from client import Client, Cut, expect, seed
from load import Load


def run(*command):
    """What a command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def main_pid(unit):
    """Of a unit; 0 where it does not run."""
    return int(run("systemctl", "show", "--property=MainPID", "--value", unit))


def container_pid(name):
    """Of the container's first process; 0 where it does not run."""
    return int(run("docker", "inspect", "--format", "{{.State.Pid}}", name))


def await_that(holds, seconds, what):
    """Until it holds; its value."""
    end = time.monotonic() + seconds
    while not (value := holds()):
        expect(time.monotonic() < end, f"waited {seconds} seconds in vain: {what}")
        time.sleep(0.05)
    return value


def health():
    """What GET /health says, or nothing while there is no answer."""
    try:
        answer = Client(timeout=5).get("/health")
        return json.loads(answer.body)
    except (Cut, ValueError):
        return {}


class Victim:
    """Something that can be killed: how its process is found, and how it is seen to serve again."""

    def __init__(self, name, pid, serves):
        self.name, self.pid, self.serves = name, pid, serves

    def kill(self):
        pid = await_that(self.pid, 60, f"{self.name} does not run")
        os.kill(pid, signal.SIGKILL)
        await_that(lambda: self.pid() not in (0, pid), 60, f"{self.name} was not started again")


VICTIMS = [
    Victim("nexus-api", lambda: main_pid("nexus-api"), lambda: health().get("database") == "connected"),
    Victim("nexus-embed", lambda: main_pid("nexus-embed"), lambda: main_pid("nexus-embed")),
    Victim("PostgreSQL", lambda: container_pid("nexus-postgres"), lambda: health().get("database") == "connected"),
    Victim("Redis", lambda: container_pid("nexus-redis"), lambda: health().get("redis") == "connected"),
]


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    rng = random.Random(seed())
    # The times between which nexus-api was away.
    away = []
    with Load(8, rng) as load:
        load.go_on(100)
        for _ in range(rounds):
            for victim in rng.sample(VICTIMS, len(VICTIMS)):
                began = time.monotonic()
                victim.kill()
                await_that(victim.serves, 180, f"{victim.name} does not serve")
                stored = len(load.stored)
                load.until(stored + 20, lambda: len(load.stored), 180, f"20 inserts after {victim.name} was killed")
                ended = time.monotonic()
                if victim.name == "nexus-api":
                    away.append((began, ended))
                print(f"{victim.name}: serves again, and 20 inserts stored, {ended - began:.1f} s after its end", flush=True)
                load.go_on(rng.randint(30, 150))
    stored, unsure = load.exact()
    wild = [str(cut) for when, cut in load.cuts if not any(began <= when <= ended for began, ended in away)]
    expect(not wild, f"{len(wild)} connections were cut while nexus-api was not killed: {wild[:3]}")
    expect(stored > 40 * rounds and load.errors, f"{stored} inserts and errors {load.errors} are no load")
    print(f"{stored} acknowledged inserts, each there once; {unsure} more that were cut; {len(load.cuts)} connections cut; errors {load.errors}")


if __name__ == "__main__":
    main()
