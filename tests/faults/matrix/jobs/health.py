"""nexus-health, over a night's backup that is missing: whatever befalls it, it never says that all is well."""

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

# The only set there is, which is far too old.
OLD = "000001-20260101T030000Z"
WRONG = "backup-age"
FILES = ("run/health.json", "run/problems.json", "metrics/nexus.prom")

# So often must it have told before it is asked to stop.
ROUNDS = 2


class Watching(Running):
    """The loop, which goes on until it is told to stop."""

    def __init__(self, command, env, told, rounds):
        self.told, self.rounds, self.before = told, rounds, told()
        super().__init__(command, env)

    def tells(self, times):
        """Waits until it has told so often from now on; says whether it did."""
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
        # The signal's handler wakes the loop by a send() of its own, and a fault may have met just that one.
        if self.wait_until(time.monotonic() - self.began + 10):
            self.stop()
        return super().end(what, struck, patience)

    def stop(self):
        """SIGTERM to itself, not to what it may run under (strace)."""
        own = [pid for pid, _ in processes({"nexus-health"}) if parent_of(pid) == self.process.pid]
        with contextlib.suppress(ProcessLookupError):
            os.kill(own[0] if own else self.process.pid, signal.SIGTERM)


def parent_of(pid):
    with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return int(file.read().rsplit(")", 1)[1].split()[1])
    return None


class Health(Job):
    """No false "well"; its files are whole at every moment; it goes on when what it watches fails, and a new one goes on where
    one that was killed stopped."""

    def __init__(self, bench, directory, own):
        super().__init__(bench, directory, own)
        self.backups, self.home = self.path("backups"), self.path("home")
        os.makedirs(os.path.join(self.backups, OLD), mode=0o700)
        self.command = ["nexus-health", "--interval=1s", "--heal=off", f"--backup-dir={self.backups}", f"--proofs-dir={self.path('proofs')}",
                        f"--run-dir={self.home}/run", f"--state-dir={self.home}/state", f"--metrics={self.home}/metrics/nexus.prom",
                        f"--alert-tested={self.path('tested.json')}"]
        os.makedirs(self.path("proofs"), mode=0o700)
        self.begin()
        began = time.monotonic()
        self.undisturbed()
        self.duration = time.monotonic() - began

    def begin(self):
        shutil.rmtree(self.home, ignore_errors=True)
        for name in ("run", "state", "metrics"):
            os.makedirs(os.path.join(self.home, name))

    def start(self, prefix=(), extra=(), env=None, rounds=ROUNDS):
        return Watching([*prefix, *self.command, *extra], env, self.told, rounds)

    def told(self):
        """Which health.json is there: each is a new file."""
        with contextlib.suppress(FileNotFoundError):
            return os.stat(os.path.join(self.home, FILES[0])).st_mtime_ns
        return None

    def read(self, name):
        """What is in one of its files; nothing where it is not there."""
        with contextlib.suppress(FileNotFoundError), open(os.path.join(self.home, name), encoding="utf-8") as file:
            return file.read()
        return None

    def levels(self):
        """What it says of each thing, and of all (``""``)."""
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
                raise Wrong(f"{name} is not whole: {error}") from error

    def require_no_false_well(self):
        levels = self.levels()
        if levels[""] == "ok" or levels.get(WRONG) == "ok":
            raise FalseSuccess(f"it says {levels['']}, and of the old backup {levels.get(WRONG)}")

    def holds(self, outcome):
        self.require_whole()
        if outcome.clock_is_true:
            self.require_no_false_well()

    def converges(self, outcome):
        known = json.loads(self.read(FILES[1]) or '{"problems": []}')["problems"]
        done = self.start(rounds=1).end()
        if done.exit != 0:
            raise NotConverged(f"undisturbed, it ends with {done.exit}: {done.said.strip()}")
        self.require_whole()
        levels = self.levels()
        if levels.get(WRONG) != "critical":
            raise NotConverged(f"of the old backup it says {levels.get(WRONG)}")
        critical = [problem["id"] for problem in known if problem["level"] == "critical"]
        if WRONG in critical and f"{WRONG} is critical" in done.said:
            raise ToldTwice("what the one before had told is told again")
        left = [name for _, _, names in os.walk(self.home) for name in names if name.endswith(".partial")]
        if left:
            raise Leftover(f"half-written files: {left}")

    def await_level(self, name, level):
        await_that(lambda: self.levels().get(name) == level, f"it says {level} of {name}", error=FalseSuccess)
