"""nexus-setup on a machine that is set up already."""

from jobs.job import Job
from world import docker
from world.machine import await_that, run
from world.sets import OWNER
from world.wrong import NotConverged, SetLost

DATABASE = "fault_setup"


class Setup(Job):
    """However it ends, the memory is the same, and the next run completes the setup."""

    def __init__(self, bench, directory, own):
        super().__init__(bench, directory, own)
        self.server.drop(DATABASE)
        bench.fill(DATABASE, "CREATE TABLE mark AS SELECT 'here' AS what")
        self.command = ["nexus-setup", "--yes", f"--owner-identity={OWNER}", "--model=none"]
        self.duration = self.timed()
        self.settle()

    def settle(self):
        """Stops what it has started, which would disturb other cases."""
        run("systemctl", "stop", *self.bench.stopped)

    def holds(self, outcome):
        self.settle()

    def converges(self, outcome):
        self.undisturbed()
        self.settle()
        self.server.leave(DATABASE)
        await_that(lambda: docker.is_well("nexus-postgres") and docker.is_well("nexus-redis"), "both servers are well", error=NotConverged)
        if self.server.sql("SELECT what FROM mark", DATABASE) != ["here"]:
            raise SetLost("the memory is another one")
