"""Closes the job's terminal, or sends its program the signal for that."""

from world.running import held_at_a_moment
from world.terminal import OnTerminal


def hung_up(job, row, case):
    """`argument`: `closed` (SIGHUP by the kernel, and each write fails), or only `SIGHUP`, or `SIGINT+SIGINT` like Ctrl-C twice."""
    running, moment = held_at_a_moment(job, case.rng, 0.95, OnTerminal)
    if row.argument == "closed":
        running.hang_up()
        running.go_on()
    for name in row.argument.split("+") if row.argument != "closed" else ():
        running.send(name.removeprefix("SIG"))
        running.go_on()
    return running.end(f"{row.argument} after {moment:.3f} s")
