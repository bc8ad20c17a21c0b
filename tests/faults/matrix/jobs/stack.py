"""nexus-stack, restarted or reloaded: afterwards both servers are healthy, with their data."""

from jobs.job import Job
from world import docker
from world.machine import await_that
from world.wrong import FalseSuccess, SetLost

DATABASE = "fault_stack"


class Stack(Job):
    """The memory is the same one."""

    verb = "restart"

    def __init__(self, bench, directory, own):
        super().__init__(bench, directory, own)
        self.database = DATABASE
        self.server.drop(DATABASE)
        bench.fill(DATABASE, "CREATE TABLE mark AS SELECT 'here' AS what")
        self.command = ["systemctl", self.verb, "nexus-stack.service"]
        self.duration = self.timed()
        self.holds(None)

    def holds(self, outcome):
        self.server.leave(DATABASE)
        await_that(self.server.answers, "PostgreSQL answers", error=FalseSuccess)
        await_that(lambda: docker.is_well("nexus-postgres") and docker.is_well("nexus-redis"), "both are well", error=FalseSuccess)
        if self.server.sql("SELECT what FROM mark", DATABASE) != ["here"]:
            raise SetLost("the memory is another one")

    def converges(self, outcome):
        self.undisturbed()
        self.holds(outcome)


class StackReload(Stack):
    verb = "reload"
