"""nexus-alert --health: sends what nexus-health finds through the queue to the owner's web server."""

import json
import os
import shutil

from jobs.job import Job
from world.running import Running
from world.web import Web
from world.wrong import AlertLost, FalseSuccess, Leftover, NotConverged, ToldTwice

# The problems that were known before, and are reported.
BEFORE = {"as-before": "warning", "worse": "warning", "over": "critical"}
# The problems that nexus-health finds now.
NOW = {"as-before": "warning", "worse": "critical", "new-1": "warning", "new-2": "critical"}
# The problems of which the owner must hear.
NEWS = {"worse", "over", "new-1", "new-2"}

# Skips the wait of an unsent message for its next try.
LATER = ["faketime", "-f", "+5m"]


class Alert(Job):
    """No alert is lost, no confirmed alert is sent twice, and one that cannot be sent does not delay others."""

    def __init__(self, bench, directory, own):
        super().__init__(bench, directory, own)
        self.web, self.state, self.before = Web(), self.path("alerts"), self.path("alerts-before")
        self.list, keys, self.spare = self.path("problems.json"), self.path("credentials"), self.path("alerts-spare")
        os.makedirs(keys, mode=0o700)
        with open(os.path.join(keys, "alert_webhook"), "w", encoding="utf-8") as file:
            file.write(self.web.url())
        # No other channel is configured.
        self.env = {"NEXUS_CREDENTIALS": keys, "NEXUS_SETTINGS": "/dev/null"}
        self.command = ["nexus-alert", "--health", f"--problems={self.list}", f"--dir={self.state}", f"--spare={self.spare}",
                        "--webhook=json", "--patience=1"]
        # The problems whose files a case has damaged: nobody can know what was sent.
        self.damaged = set()
        os.makedirs(self.state, mode=0o700)
        os.makedirs(self.spare, mode=0o700)
        self.find(BEFORE)
        self.undisturbed()
        os.rename(self.state, self.before)
        self.begin()
        self.duration = self.timed()

    def find(self, problems):
        """Writes the list of nexus-health."""
        found = [{"id": name, "level": level, "sentence": f"It is {name}.", "advice": "Mend it", "since": "2026-01-01T00:00:00Z"}
                 for name, level in sorted(problems.items())]
        with open(self.list, "w", encoding="utf-8") as file:
            json.dump({"version": 1, "problems": found}, file)

    def begin(self):
        shutil.rmtree(self.state, ignore_errors=True)
        shutil.rmtree(self.spare, ignore_errors=True)
        os.makedirs(self.spare, mode=0o700)
        shutil.copytree(self.before, self.state)
        self.find(NOW)
        self.damaged = set()
        self.web.set("well")
        self.web.forget()

    def start(self, prefix=(), extra=(), env=None):
        return super().start(prefix, extra, {**self.env, **(env or {})})

    def start_other(self, command):
        return Running(command, self.env)

    def file_of(self, problem):
        return os.path.join(self.state, f"{problem}.health.json")

    def holds(self, outcome):
        told = self.web.told()
        if outcome.exit == 0 and set(told) != NEWS | self.damaged:
            raise FalseSuccess(f"it reported success, but the owner has heard of {sorted(told)}")
        self.require_once(told, outcome)
        # An unreadable message in the queue is lost.
        for name in os.listdir(self.state):
            if name.endswith(".health.json") and name.removesuffix(".health.json") not in self.damaged:
                with open(os.path.join(self.state, name), encoding="utf-8") as file:
                    self.require_whole(name, file.read())

    def require_whole(self, name, text):
        try:
            json.loads(text)
        except ValueError as error:
            raise AlertLost(f"{name} is half written: {error}") from error

    def require_once(self, told, outcome):
        """A message may come twice only if the run was killed before it recorded the confirmation, or did not receive that. Both
        copies have the same name."""
        may_be_twice = outcome.exit < 0 or "could not be sent" in outcome.said
        for problem, messages in told.items():
            if len(set(messages)) > 1 or len(messages) > 1 + may_be_twice:
                raise ToldTwice(f"about {problem} the owner has heard {messages}")

    def converges(self, outcome):
        done = self.start(LATER).end()
        if done.exit != 0:
            raise NotConverged(f"without a fault it exits with {done.exit}: {done.said.strip()}")
        told = self.web.told()
        self.require_once(told, outcome)
        if set(told) != NEWS | self.damaged:
            raise AlertLost(f"the owner has heard of {sorted(told)}, not of {sorted(NEWS | self.damaged)}")
        there = {name for name in os.listdir(self.state) if not name.startswith(".")}
        spared = {name for name in os.listdir(self.spare) if not name.startswith(".")}
        if there != {f"{problem}.health.json" for problem in NOW} or spared:
            raise Leftover(f"in the queue are {sorted(there)}, and in memory {sorted(spared)}")
        owed = [problem for problem in NOW if self.read(problem)["owed"]]
        if owed:
            raise NotConverged(f"still unsent: {owed}")

    def read(self, problem):
        with open(self.file_of(problem), encoding="utf-8") as file:
            return json.load(file)

    def close(self):
        self.web.close()
