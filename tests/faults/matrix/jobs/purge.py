"""nexus-purge of a small table by age, with a ledger of earlier purges."""

import shutil

from jobs.deleting import Deleting
from world.wrong import FalseSuccess, NotConverged, SetLost, Wrong

STAYS = """
CREATE TABLE episode (id bigint PRIMARY KEY, at timestamptz, kind text, text text);
INSERT INTO episode SELECT i, now() - interval '1 day', 'stays', repeat(md5(i::text), 20) FROM generate_series(1, 2000) i;
"""

# Less than a fifth of the rows: more would stop an unattended run.
GOES = """
DELETE FROM episode WHERE kind = 'goes';
INSERT INTO episode SELECT i, now() - interval '9 days', 'goes', repeat(md5(i::text), 20) FROM generate_series(1000001, 1000300) i
"""


class Purge(Deleting):
    """No row that must stay is ever deleted; success means that all rows that must go are gone; a damaged ledger stops everything."""

    # The next run has less to delete than the killed one.
    is_as_long_again = False
    database, columns, fill, goes = "fault_purge", "id, at, kind, text", STAYS, GOES

    def __init__(self, bench, directory, own):
        super().__init__(bench, directory, own)
        self.command = [*self.purge, "--ttl=goes=5d, stays=2y"]
        self.duration = min(self.timed() for _ in range(3))
        shutil.copytree(self.ledger, self.example)

    def holds(self, outcome):
        # If the server died, our own session died too.
        self.server.leave(self.database)
        if self.rows("stays") != self.stays:
            raise SetLost("rows that must stay are gone or changed")
        ended = [o.exit for o in (outcome, outcome.other) if o]
        if 0 in ended and outcome.clock_is_true and self.left():
            raise FalseSuccess(f"it reported success, but {self.left()} rows that must go are left")

    def converges(self, outcome):
        self.undisturbed()
        if self.left():
            raise NotConverged(f"{self.left()} rows that must go are left")
        if self.rows("stays") != self.stays:
            raise SetLost("rows that must stay are gone or changed")
        shown = self.start(extra=["--ledger", "--json"]).end()
        if shown.exit != 0 or '"rows": null' in shown.answer:
            raise Wrong(f"the ledger is damaged, or has an open decision: {shown.exit} {shown.said}{shown.answer}")
