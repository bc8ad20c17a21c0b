"""nexus-backup of a database whose thirty tables other sessions change during the run."""

import hashlib
import json
import os
import shutil
import struct
import time

from jobs.job import TOOLS, Job, with_options
from world import docker, sets
from world.running import Running
from world.wrong import FalseSuccess, NotConverged, SetLost, Wrong

DATABASE, BACK = "fault_amid", "fault_amid_back"
WHAT_THERE_IS = "SELECT name || ' ' || rows || ' ' || digest FROM truth WHERE rows IS NOT NULL ORDER BY 1"
# Printed when it has given way to sessions that wait for its locks, and sleeps before its next try.
AGAIN = "next try in"
# Every nth set is restored too.
RESTORED = 12


class BackupAmid(Job):
    """A set with a final name has every table as a second reader saw it in the set's snapshot. Otherwise the run fails, and the next
    one, undisturbed, succeeds."""

    def __init__(self, bench, directory, own):
        super().__init__(bench, directory, own)
        self.server.drop(DATABASE)
        with open(os.path.join(os.path.dirname(__file__), "..", "world", "schedule.sql"), encoding="utf-8") as file:
            bench.fill(DATABASE, file.read())
        self.database = DATABASE
        self.sets_dir, self.truths, self.judged = self.path("sets"), {}, 0
        self.command = ["nexus-backup", f"--pg-database={DATABASE}", "--redis=no", f"--backup-dir={self.sets_dir}", f"--proofs-dir={self.path('proofs')}"]
        if own:
            self.command += [f"--pg-dump={TOOLS}/pg_dump", f"--pg-dumpall={TOOLS}/pg_dumpall"]
        self.exported = exported_snapshots()
        self.begin()
        self.duration = self.timed()

    def begin(self):
        for path in (self.sets_dir, self.path("proofs")):
            shutil.rmtree(path, ignore_errors=True)
            os.mkdir(path, mode=0o700)
        self.truths = {}

    def start(self, prefix=(), extra=(), env=None):
        """Writes the job's messages to a file, to read them while it runs. Empties the file first: the shell may be stopped before it
        opens the file, and the messages of the last run would count for this one."""
        open(self.path("said"), "w", encoding="utf-8").close()
        return Running(["sh", "-c", 'exec "$@" 2>"$0"', self.path("said"), *prefix, *with_options(self.command, extra)], env)

    def said(self):
        with open(self.path("said"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def waits_for_another_try(self):
        return AGAIN in self.said()

    def has_a_set(self):
        return bool(sets.names(self.sets_dir))

    def watch(self, running, patience=60, until=lambda: False):
        """While it runs, reads the tables in each snapshot that it exports; stops the job meanwhile."""
        end = time.monotonic() + patience
        while running.runs() and time.monotonic() < end and not until():
            for snapshot in set(os.listdir(self.exported)) - self.truths.keys():
                if running.hold():
                    self.truths[snapshot] = self.truth(f"SET TRANSACTION SNAPSHOT '{snapshot}'")
                    running.go_on()
            time.sleep(0.0005)

    def truth(self, import_it="SELECT"):
        """Returns the content of the tables; nothing if the snapshot is gone, or belongs to another database."""
        try:
            found = self.server.sql(f"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {import_it}; {WHAT_THERE_IS}; COMMIT", DATABASE)
        except ConnectionError:
            return None
        return {name: (int(rows), digest) for name, rows, digest in (line.split() for line in found if line)}

    def holds(self, outcome):
        new = sets.names(self.sets_dir)
        if len(new) != (outcome.exit == 0):
            raise FalseSuccess(f"it exited with {outcome.exit}, but there are {len(new)} sets")
        for name in new:
            self.judge(os.path.join(self.sets_dir, name))

    def judge(self, path):
        """Compares the set with what the second reader saw. Uses the manifest only for the snapshot, and to assign files to tables."""
        sets.require_whole(path)
        manifest = json.loads(sets.plain(os.path.join(path, "manifest.json.age")))
        truth = self.truths.get(manifest["postgres"]["snapshot"])
        if not truth:
            raise Wrong(f"the second reader has not seen snapshot {manifest['postgres']['snapshot']}: {sorted(self.truths)}")
        found = {table["table"]: rows_in(sets.plain(os.path.join(path, table["file"])))
                 for table in manifest["tables"] if table["schema"] == "public" and table["table"] != "truth"}
        if found != truth:
            differing = sorted(k for k in found.keys() | truth.keys() if found.get(k) != truth.get(k))
            told = "; ".join(f"{k}: {found.get(k, ('no table',))[0]} rows, {truth.get(k, ('no table',))[0]} in its snapshot" for k in differing)
            raise (FalseSuccess if found.keys() >= truth.keys() else SetLost)(f"set {os.path.basename(path)} differs from its snapshot: {told}")
        self.judged += 1
        if self.judged % RESTORED == 1:
            self.restore(path)

    def restore(self, path):
        """Restores the set. Compares the copy with its own table `truth`, which came with it."""
        self.server.drop(BACK)
        done = self.start_other(["nexus-restore", "apply", path, f"--into={BACK}", f"--identity={sets.OWNER}"]).end()
        if done.exit != 0:
            raise FalseSuccess(f"its set cannot be restored: {done.exit} {done.said.strip()[-600:]}")
        wrong = self.server.sql("SELECT name FROM truth LEFT JOIN LATERAL digest_of(to_regclass(name)) d ON to_regclass(name) IS NOT NULL"
                                " WHERE (truth.rows, truth.digest) IS DISTINCT FROM (d.rows, d.digest)", BACK)
        self.server.drop(BACK)
        if wrong:
            raise FalseSuccess(f"the restored set differs in {wrong}")

    def converges(self, outcome):
        if outcome.exit == 0:
            return
        self.begin()
        running = self.start()
        self.watch(running)
        done = running.end()
        if done.exit != 0:
            raise NotConverged(f"without a fault it exits with {done.exit}: {self.said().strip()}")
        self.holds(done)

    def close(self):
        self.server.leave(DATABASE)


def exported_snapshots():
    """Returns the directory with the server's file for each exported snapshot."""
    mounts = docker.get("/containers/nexus-postgres/json")["Mounts"]
    for mount in mounts:
        for folder, folders, _ in os.walk(mount["Source"]):
            if "pg_snapshots" in folders:
                return os.path.join(folder, "pg_snapshots")
    raise AssertionError(f"no pg_snapshots in {[mount['Source'] for mount in mounts]}")


def rows_in(copied):
    """Returns number and digest of the rows of COPY (FORMAT binary), like `digest_of` of world/schedule.sql."""
    if copied[:11] != b"PGCOPY\n\xff\r\n\0":
        raise FalseSuccess("a table is not in the expected format")
    at, rows = 19 + struct.unpack_from(">i", copied, 15)[0], []
    while (fields := struct.unpack_from(">h", copied, at)[0]) != -1:
        began, at = at, at + 2
        for _ in range(fields):
            at += 4 + max(0, struct.unpack_from(">i", copied, at)[0])
        rows.append(copied[began:at])
    return len(rows), hashlib.sha256(b"".join(sorted(rows))).hexdigest()
