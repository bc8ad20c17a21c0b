#!/usr/bin/env python3
"""Promise: kill -9 of nexus-api, nexus-embed, PostgreSQL and Redis in turn, under the load of several clients, neither loses nor
duplicates an acknowledged insert. Every error is a clean one, connections end early only if nexus-api itself was killed, and everything
recovers by itself.

usage: kills.py [ROUNDS]     a round takes about 15 seconds
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
    """Returns the output of a command."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def main_pid(unit):
    """Returns a unit's main PID; 0 if it does not run."""
    return int(run("systemctl", "show", "--property=MainPID", "--value", unit))


def container_pid(name):
    """Returns the PID of the container's first process; 0 if it does not run."""
    return int(run("docker", "inspect", "--format", "{{.State.Pid}}", name))


def await_that(holds, seconds, what):
    """Waits until it holds, and returns its value."""
    end = time.monotonic() + seconds
    while not (value := holds()):
        expect(time.monotonic() < end, f"{what}, after {seconds} seconds")
        time.sleep(0.05)
    return value


def health():
    """Returns the answer of GET /health, or nothing without an answer."""
    try:
        answer = Client(timeout=5).get("/health")
        return json.loads(answer.body)
    except (Cut, ValueError):
        return {}


class Victim:
    """A process to kill: how to find it, and how to see that it serves again."""

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
    # The times between which nexus-api was down.
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
