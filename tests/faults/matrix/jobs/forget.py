"""nexus-purge forgets one episode on a request over its socket, with a ledger of earlier purges."""

import json
import shutil
import sys

from jobs.deleting import LEDGER, Deleting
from world.wrong import FalseSuccess, NotConverged, SetLost, Wrong

ID = "0d9c2f7a-5b1e-4f6a-9c3d-7e8f9a0b1c2d"

STAYS = """
CREATE TABLE episode (id uuid PRIMARY KEY, at timestamptz, kind text, agent text, text text);
INSERT INTO episode SELECT md5(i::text)::uuid, now(), 'stays', 'a', repeat(md5(i::text), 20) FROM generate_series(1, 2000) i;
"""

GOES = f"""
DELETE FROM episode WHERE kind = 'goes';
INSERT INTO episode VALUES ('{ID}', now(), 'goes', 'a', 'to be forgotten')
"""

# Executes the job with a connection as its standard input; a child sends the request and prints the answer.
ASKING = f"""
import os, socket, sys
ours, theirs = socket.socketpair()
if os.fork() == 0:
    theirs.close()
    ours.sendall(b'{{"v":1,"agent":"a","episode":"{ID}"}}\\n')
    answer = b""
    while piece := ours.recv(4096):
        answer += piece
    os.write(1, answer)
    os._exit(0)
os.dup2(theirs.fileno(), 0)
ours.close()
theirs.close()
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Forget(Deleting):
    """The answer "forgotten" means that the episode is gone and in the ledger. After the next run all episodes in the ledger are gone."""

    database, columns, fill, goes = "fault_forget", "id, at, kind, agent, text", STAYS, GOES

    def __init__(self, bench, directory, own):
        super().__init__(bench, directory, own)
        self.nightly = [*self.purge, "--agent-column=agent"]
        self.command = [sys.executable, "-c", ASKING, *self.nightly, "--answer"]
        self.duration = min(self.timed() for _ in range(3))
        self.night()
        shutil.copytree(self.ledger, self.example)

    def decisions(self):
        with open(f"{self.ledger}/{LEDGER}", encoding="utf-8") as lines:
            return sum('"decision"' in line and line.endswith("\n") for line in lines)

    def night(self):
        done = self.start_other(self.nightly).end()
        if done.exit != 0:
            raise NotConverged(f"the nightly run exits with {done.exit}: {done.said.strip()}")

    def begin(self):
        super().begin()
        self.known = self.decisions()

    def holds(self, outcome):
        # If the server died, our own session died too.
        self.server.leave(self.database)
        if self.rows("stays") != self.stays:
            raise SetLost("rows that must stay are gone or changed")
        try:
            said = json.loads(outcome.answer)["status"]
        except (ValueError, KeyError):
            said = None
        is_written = self.decisions() > self.known
        if said == "forgotten" and (self.left() or not is_written):
            raise FalseSuccess(f"it answers forgotten, but {self.left()} rows are left; in the ledger: {is_written}")
        if said == "busy" and is_written:
            raise Wrong("it answers busy, but the ledger has the decision")
        if not self.left() and not is_written:
            raise SetLost("the row is gone, but the ledger does not have the decision")
        self.is_written = is_written

    def converges(self, outcome):
        self.night()
        if self.is_written and self.left():
            raise NotConverged("the ledger has the decision, but the next run left the row")
        if self.left():
            self.undisturbed()
            self.night()
        if self.left() or self.rows("stays") != self.stays:
            raise NotConverged(f"{self.left()} rows that must go are left, or others went")
        shown = self.start_other([*self.nightly, "--ledger", "--json"]).end()
        if shown.exit != 0 or '"rows": null' in shown.answer:
            raise Wrong(f"the ledger is damaged, or has an open decision: {shown.exit} {shown.said}{shown.answer}")
