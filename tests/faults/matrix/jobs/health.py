"""nexus-health, with last night's backup missing: under every fault, it never reports that all is well."""

import contextlib
import json
import os
import shutil
import signal
import time

from jobs.job import Job
from world.machine import PATIENCE, await_that, processes
from world.running import Outcome, Running
from world.wrong import FalseSuccess, Leftover, NotConverged, ToldTwice, Wrong

# The only set, which is far too old.
OLD = "000001-20260101T030000Z"
WRONG = "backup-age"
FILES = ("run/health.json", "run/problems.json", "metrics/nexus.prom")

# The number of rounds before it is stopped.
ROUNDS = 2


class Watching(Running):
    """The loop, which runs until SIGTERM."""

    def __init__(self, command, env, told, rounds):
        self.told, self.rounds, self.before = told, rounds, told()
        super().__init__(command, env)

    def tells(self, times):
        """Waits until it has written its files so often from now on; returns whether it did."""
        for _ in range(times):
            before, end = self.told(), time.monotonic() + PATIENCE
            while self.told() == before:
                if not self.runs() or time.monotonic() > end:
                    return False
                time.sleep(0.005)
        return True

    def end(self, what="", struck=True, patience=PATIENCE) -> Outcome:
        self.tells(self.rounds)
        self.stop()
        # The signal's handler wakes the loop by a send(), which the fault may have hit.
        if self.wait_until(time.monotonic() - self.began + 10):
            self.stop()
        return super().end(what, struck, patience)

    def stop(self):
        """Sends SIGTERM to nexus-health, not to strace above it."""
        own = [pid for pid, _ in processes({"nexus-health"}) if parent_of(pid) == self.process.pid]
        with contextlib.suppress(ProcessLookupError):
            os.kill(own[0] if own else self.process.pid, signal.SIGTERM)


def parent_of(pid):
    with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return int(file.read().rsplit(")", 1)[1].split()[1])
    return None


class Health(Job):
    """No false "well". Its files are complete at every moment. It survives failures of what it watches, and a new process continues
    where a killed one stopped."""

    def __init__(self, bench, directory, own):
        super().__init__(bench, directory, own)
        self.backups, self.home = self.path("backups"), self.path("home")
        os.makedirs(os.path.join(self.backups, OLD), mode=0o700)
        self.command = ["nexus-health", "--interval=1s", "--heal=off", f"--backup-dir={self.backups}", f"--proofs-dir={self.path('proofs')}",
                        f"--run-dir={self.home}/run", f"--state-dir={self.home}/state", f"--metrics={self.home}/metrics/nexus.prom",
                        f"--alert-tested={self.path('tested.json')}"]
        os.makedirs(self.path("proofs"), mode=0o700)
        self.begin()
        self.duration = self.timed()

    def begin(self):
        shutil.rmtree(self.home, ignore_errors=True)
        for name in ("run", "state", "metrics"):
            os.makedirs(os.path.join(self.home, name))

    def start(self, prefix=(), extra=(), env=None, rounds=ROUNDS):
        return Watching([*prefix, *self.command, *extra], env, self.told, rounds)

    def told(self):
        """Returns the identity of health.json: each round writes a new file."""
        with contextlib.suppress(FileNotFoundError):
            return os.stat(os.path.join(self.home, FILES[0])).st_mtime_ns
        return None

    def read(self, name):
        """Returns the content of one of its files; nothing if it does not exist."""
        with contextlib.suppress(FileNotFoundError), open(os.path.join(self.home, name), encoding="utf-8") as file:
            return file.read()
        return None

    def levels(self):
        """Returns the level of each finding, and the overall one (``""``)."""
        text = self.read(FILES[0])
        document = json.loads(text) if text else {"level": None, "findings": []}
        return {"": document["level"], **{row["id"]: row["level"] for row in document["findings"]}}

    def require_whole(self):
        for name in FILES:
            text = self.read(name)
            if text is None:
                continue
            try:
                if not (text.endswith("# EOF\n") if name.endswith(".prom") else json.loads(text)["version"] == 1):
                    raise ValueError("it has no end, or another version")
            except (ValueError, KeyError) as error:
                raise Wrong(f"{name} is incomplete: {error}") from error

    def require_no_false_well(self):
        levels = self.levels()
        if levels[""] == "ok" or levels.get(WRONG) == "ok":
            raise FalseSuccess(f"it reports {levels['']}, and for the old backup {levels.get(WRONG)}")

    def holds(self, outcome):
        self.require_whole()
        if outcome.clock_is_true:
            self.require_no_false_well()

    def converges(self, outcome):
        known = json.loads(self.read(FILES[1]) or '{"problems": []}')["problems"]
        done = self.start(rounds=1).end()
        if done.exit != 0:
            raise NotConverged(f"without a fault it exits with {done.exit}: {done.said.strip()}")
        self.require_whole()
        levels = self.levels()
        if levels.get(WRONG) != "critical":
            raise NotConverged(f"about the old backup it says {levels.get(WRONG)}")
        critical = [problem["id"] for problem in known if problem["level"] == "critical"]
        if WRONG in critical and f"{WRONG} is critical" in done.said:
            raise ToldTwice("it reports again what the previous process had reported")
        left = [name for _, _, names in os.walk(self.home) for name in names if name.endswith(".partial")]
        if left:
            raise Leftover(f"half-written files: {left}")

    def await_level(self, name, level):
        await_that(lambda: self.levels().get(name) == level, f"it says {level} of {name}", error=FalseSuccess)
