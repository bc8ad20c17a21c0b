"""What all jobs have in common."""

import os
import time

from world.running import Running
from world.wrong import NotConverged

# Not Debian's /usr/bin/pg_dump, which is a script that finds this one.
TOOLS = "/usr/lib/postgresql/18/bin"


class Job:
    """A job, and the world it works on."""

    # The command under test.
    command = []
    # Seconds of a recent undisturbed run; the speed of the machine varies.
    duration = 0.0
    # Whether the repairing run does as much as the broken one.
    is_as_long_again = True
    # The system calls of each thread in an undisturbed run, counted on demand (faults/syscalls.py).
    calls = None

    def __init__(self, bench, directory, own):
        self.bench, self.server, self.directory, self.own = bench, bench.server, directory, own

    def begin(self):
        """Resets the world for the next case."""

    def holds(self, outcome):
        """Raises if something is wrong after a case."""

    def converges(self, outcome):
        """Raises if the next, undisturbed run does not repair everything."""

    def close(self):
        """Removes what is outside of the bench's directory."""

    def start(self, prefix=(), extra=(), env=None):
        """Starts the command after `prefix`; options in `extra` replace those of the same name."""
        return Running([*prefix, *with_options(self.command, extra)], env)

    def start_other(self, command):
        """Starts a command like this job's."""
        return Running(command)

    def undisturbed(self, extra=(), expected=(0,)):
        """Runs it without a fault, and requires an expected exit code."""
        began = time.monotonic()
        done = self.start(extra=extra).end()
        if done.exit not in expected:
            raise NotConverged(f"without a fault it exits with {done.exit}: {done.said.strip()}")
        if self.is_as_long_again and not extra:
            self.duration = (self.duration + time.monotonic() - began) / 2
        return done

    def timed(self):
        """Returns the seconds of an undisturbed run."""
        began = time.monotonic()
        self.undisturbed()
        return time.monotonic() - began

    def same_place(self):
        """Returns options that make another job work in the same place."""
        return []

    def path(self, *parts):
        return os.path.join(self.directory, *parts)


def with_options(command, options):
    """Returns the command with these options, each once."""
    names = tuple(option.partition("=")[0] + "=" for option in options)
    return [*(word for word in command if not (names and word.startswith(names))), *options]
