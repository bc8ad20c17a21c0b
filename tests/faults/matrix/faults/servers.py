"""PostgreSQL, Redis or Docker's daemon dies, stands still, or is restarted while the job runs."""

import time

from world.machine import await_that, processes, run
from world.running import signal_all

STANDS_STILL = 0.4


def disturbed(job, row, case):
    """`step` names the server, `argument` what befalls it at a random moment."""
    running = job.start()
    moment = case.rng.random() * job.duration
    struck = running.wait_until(moment)
    BEFALL[row.step](job, row.argument)
    outcome = running.end(f"{row.step}: {row.argument} after {moment:.3f} s", struck)
    job.server.await_answer()
    return outcome


def postgres(job, how):
    if how == "kill":
        # All of it at once, as when its machine loses the container.
        run("docker", "kill", "--signal=KILL", "nexus-postgres")
    elif how == "crash":
        # One session dies; the server throws all others out and recovers.
        session = job.server.sql("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() LIMIT 1")
        if session:
            run("docker", "exec", "--user=root", "nexus-postgres", "kill", "-KILL", session[0])
    elif how == "end-sessions":
        job.server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ '^(nexus-|pg_)'")
    elif how == "stand-still":
        stand_still({"postgres"})
    elif how == "restart":
        run("docker", "restart", "--timeout=5", "nexus-postgres")


def redis(job, how):
    if how == "kill":
        run("docker", "kill", "--signal=KILL", "nexus-redis")
    elif how == "stand-still":
        stand_still({"redis-server"})
    elif how == "restart":
        run("docker", "restart", "--timeout=5", "nexus-redis")


def docker(job, how):
    if how == "kill":
        run("systemctl", "kill", "--signal=KILL", "docker.service")
    elif how == "stand-still":
        stand_still({"dockerd"})
    elif how == "restart":
        run("systemctl", "restart", "docker.service")
    # The servers go with a daemon that dies, and come back with the stack.
    await_that(lambda: not processes({"dockerd"}) or True, "the daemon is gone")
    run("systemctl", "reset-failed", "docker.service")
    run("systemctl", "start", "docker.service", "docker.socket")
    run("systemctl", "restart", "nexus-stack.service")


def asked(job, how):
    """nexus-docker itself, between the job and the daemon."""
    signal_all({"nexus-docker"}, "KILL")


def stand_still(names):
    signal_all(names, "STOP")
    try:
        # How long it stands still is what is to be tried, not something to wait for.
        time.sleep(STANDS_STILL)
    finally:
        signal_all(names, "CONT")


BEFALL = {"postgres": postgres, "redis": redis, "docker": docker, "nexus-docker": asked}
