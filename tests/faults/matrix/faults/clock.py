"""The clock jumps by years: before the run, during it, or in the past of the sets."""

import glob
import json
import os
import shutil
import time

from world import sets
from world.wrong import ProvenSetLost, SetLost, WrongEnd

DAY = 86_400


def wrong(job, row, case):
    """`step`: from the beginning, or from a random moment. `argument`: the offset, as faketime(1) writes it. Only the wall clock
    jumps; CLOCK_MONOTONIC goes on."""
    file = job.path("clock")
    set_clock(file, row.argument if row.step == "before" else "+0")
    environment = {"LD_PRELOAD": library(), "FAKETIME_TIMESTAMP_FILE": file, "FAKETIME_NO_CACHE": "1",
                   "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    running = job.start(env=environment)
    moment, struck = 0.0, True
    if row.step != "before":
        moment = case.rng.random() * job.duration
        struck = running.wait_until(moment)
        set_clock(file, row.argument)
    outcome = running.end(f"the clock jumps by {row.argument} after {moment:.3f} s", struck)
    outcome.clock_is_true = False
    return outcome


def library():
    """Returns the path of libfaketime on this architecture."""
    return glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")[0]


def set_clock(path, by):
    """Replaces the file atomically, because programs may read it at any moment."""
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(by + "\n")
    os.rename(path + ".new", path)


def history(job, row, case):
    """Rotates sets of a random past, in which the clock jumped `argument` times."""
    past = History(job.path("history"), case.rng, int(row.argument))
    days, at_least = case.rng.choice([7, 14, 30]), case.rng.choice([1, 3, 5])
    job.past, job.options = past, [f"--backup-dir={past.directory}", f"--proofs-dir={past.proofs}", f"--keep-days={days}",
                                   f"--keep-min={at_least}"]
    outcome = job.start(extra=job.options).end(f"{len(past.names)} sets, {days} days: {past.story}")
    if outcome.exit == 0:
        past.require(days, at_least)
    elif set(sets.names(past.directory)) != set(past.names):
        raise SetLost("it failed, but has removed sets")
    if outcome.exit != (65 if past.has_bad_proof else 0):
        raise WrongEnd(f"ended with {outcome.exit}, {'a' if past.has_bad_proof else 'no'} proof is damaged: {outcome.said.strip()}")
    outcome.exit = 0
    return outcome


class History:
    """Small sets, one a night, named by a clock that jumped, and proofs of some of them."""

    def __init__(self, directory, rng, jumps):
        self.directory, self.proofs = os.path.join(directory, "sets"), os.path.join(directory, "proofs")
        shutil.rmtree(directory, ignore_errors=True)
        for path in (self.directory, self.proofs):
            os.makedirs(path)
        count = rng.randint(2, 45)
        at = {rng.randrange(count): rng.choice([-10, 10, -1, 1, 50, -50]) for _ in range(jumps)}
        self.story = ", ".join(f"{years:+} years before set {number + 1}" for number, years in sorted(at.items())) or "no jump"
        moment, self.names, self.proven = 1_700_000_000, [], set()
        for number in range(count):
            moment += DAY + rng.randint(-600, 600) + at.get(number, 0) * 365 * DAY
            moment = max(0, min(moment, 4_000_000_000))
            self.names.append(f"{number + 1:06}-{stamp(moment)}")
            os.mkdir(os.path.join(self.directory, self.names[-1]))
            with open(os.path.join(self.directory, self.names[-1], sets.SUMS), "w", encoding="ascii") as file:
                file.write("not read by rotation\n")
        for name in rng.sample(self.names, rng.randint(0, min(4, count))):
            self.prove(name, rng.choice([True, True, False]))
        self.has_bad_proof = rng.random() < 0.1
        if self.has_bad_proof:
            with open(self.proof_of(rng.choice(self.names)), "w", encoding="ascii") as file:
                file.write('{"format": 1, "set": ')

    def proof_of(self, name):
        return os.path.join(self.proofs, f"{name.split('-')[0]}.json")

    def prove(self, name, proven):
        with open(self.proof_of(name), "w", encoding="utf-8") as file:
            json.dump({"format": 1, "set": name, "proven": proven, "at": "2026-01-01T00:00:00Z"}, file)
        if proven:
            self.proven.add(name)

    def newest_proven(self):
        return set(sorted(self.proven)[-1:])

    def require(self, days, at_least):
        """Raises if rotation has removed a set that it must keep, however the clock went."""
        left = set(sets.names(self.directory))
        if not self.newest_proven() <= left:
            raise ProvenSetLost(f"the newest proven set is gone: {self.newest_proven()} of {self.names}")
        # A leap counts as two usual nights at most, so at least half of the nights must stay.
        must = set(self.names[-max(at_least, days // 2):])
        if not must <= left:
            raise SetLost(f"young sets are gone: {sorted(must - left)}")


def stamp(moment):
    return time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment))
