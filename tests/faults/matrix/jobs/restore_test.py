"""nexus-restore-test: restores a set into a throwaway server, and writes a proof."""

import json
import os
import shutil

from jobs.job import Job
from world import docker, sets
from world.machine import await_that
from world.wrong import FalseSuccess, Leftover, NotConverged, SetLost


class RestoreTest(Job):
    """A proof only of a set that was compared and is equal; and no throwaway server is left, however it ends."""

    def __init__(self, bench, directory, own):
        super().__init__(bench, directory, own)
        self.set, self.proofs = bench.example(), self.path("proofs")
        self.digest = sets.digest(self.set)
        self.proof = os.path.join(self.proofs, f"{os.path.basename(self.set).split('-')[0]}.json")
        self.command = ["nexus-restore-test", "latest", f"--backup-dir={bench.sets_dir}", f"--proofs-dir={self.proofs}"]
        self.begin()
        self.duration = self.timed()

    def begin(self):
        """Removes all proofs."""
        shutil.rmtree(self.proofs, ignore_errors=True)
        os.makedirs(self.proofs, mode=0o700)

    def verdict(self):
        """Returns `proven` of the proof; None without a proof. Raises if the proof is half written."""
        if not os.path.exists(self.proof):
            return None
        with open(self.proof, encoding="utf-8") as file:
            return json.load(file)["proven"]

    def holds(self, outcome):
        if sets.digest(self.set) != self.digest:
            raise SetLost("the set that was tested has changed")
        await_that(lambda: not docker.scratch(), "the throwaway server and its volume are gone", 60, Leftover)
        try:
            verdict = self.verdict()
        except ValueError as error:
            raise FalseSuccess(f"the proof is half written: {error}") from error
        ends = [outcome.exit] + ([outcome.other.exit] if outcome.other else [])
        if 0 in ends and verdict is not True:
            raise FalseSuccess(f"it reported success, but the proof says {verdict}")
        if verdict is True and all(end in (65, 64, 77, 78) for end in ends):
            raise FalseSuccess(f"it ended with {outcome.exit}, and the proof says that the set is proven")
        if verdict is False and 65 not in ends:
            raise SetLost(f"it ended with {outcome.exit}, which is not the set's fault, and the proof says that it is")

    def converges(self, outcome):
        self.undisturbed()
        if self.verdict() is not True:
            raise NotConverged(f"the next test succeeded, and the proof says {self.verdict()}")
        if [name for name in os.listdir(self.proofs) if not name.endswith(".json") and name != ".lock"]:
            raise NotConverged(f"left among the proofs: {os.listdir(self.proofs)}")
