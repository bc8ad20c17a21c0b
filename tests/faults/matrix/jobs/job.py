"""What all jobs have in common."""

import os
import time

from world.running import Running
from world.wrong import NotConverged

# Not Debian's /usr/bin/pg_dump, which is a script that looks for this.
TOOLS = "/usr/lib/postgresql/18/bin"


class Job:
    """A job, and the world it works on."""

    # The command that a case breaks.
    command = []
    # Seconds that it takes when nobody disturbs it, of late: a machine is not always as quick.
    duration = 0.0
    # Whether a run that puts things right does as much as the one that was broken.
    is_as_long_again = True
    # How often each of its threads makes which system call then, once somebody has asked (faults/syscalls.py).
    calls = None

    def __init__(self, bench, directory, own):
        self.bench, self.server, self.directory, self.own = bench, bench.server, directory, own

    def begin(self):
        """Brings the world to where each case begins."""

    def holds(self, outcome):
        """Raises what is wrong after a case."""

    def converges(self, outcome):
        """Raises what the next run, undisturbed, does not put right."""

    def close(self):
        """Takes away what is outside of the bench's directory."""

    def start(self, prefix=(), extra=(), env=None):
        """Starts the command; `prefix` goes before it, options in `extra` replace those of the same name."""
        return Running([*prefix, *with_options(self.command, extra)], env)

    def start_other(self, command):
        """Starts a command like this job's."""
        return Running(command)

    def undisturbed(self, extra=(), expected=(0,)):
        """Runs it as it is; it must end as expected."""
        began = time.monotonic()
        done = self.start(extra=extra).end()
        if done.exit not in expected:
            raise NotConverged(f"undisturbed, it ends with {done.exit}: {done.said.strip()}")
        if self.is_as_long_again and not extra:
            self.duration = (self.duration + time.monotonic() - began) / 2
        return done

    def same_place(self):
        """Options that send another job to where this one works."""
        return []

    def path(self, *parts):
        return os.path.join(self.directory, *parts)


def with_options(command, options):
    """The command with these options, each once."""
    names = tuple(option.partition("=")[0] + "=" for option in options)
    return [*(word for word in command if not (names and word.startswith(names))), *options]
