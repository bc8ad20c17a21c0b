#!/usr/bin/env python3
"""Damages a restored database between restore and comparison, or runs a command then, at no other moment:
usage gate.py SQL, gate.py --run COMMAND [ARGUMENT…]. The process NEXUS_TEST_HALTED, which is stopped, continues once this session waits for the lock.

Holds a lock on table m.gate from when its rows are there. The comparison begins with that table, so when it is seen to
wait for the lock, everything has been restored and nothing has been compared.
"""

import os
import signal
import subprocess
import sys
import time

PSQL = ["docker", "exec", "-i", "--user", "1879048999", "nexus-scratch-postgres", "psql", "-XAtq", "--set=ON_ERROR_STOP=1",
        "--dbname=restore_test"]
# Of other sessions; the test's COPY asks for the weakest lock there is.
WAITING = ("SELECT count(*) FROM pg_locks WHERE relation = 'm.gate'::regclass AND NOT granted "
           "AND mode = 'AccessShareLock'")
# Whether a session has the lock or waits for it.
ASKED = "SELECT count(*) FROM pg_locks WHERE relation = 'm.gate'::regclass AND mode = 'AccessExclusiveLock' AND pid = {}"


def say(session, sql):
    session.stdin.write(sql + ";\n")
    session.stdin.flush()


def ask(session, sql):
    """The one line that sql gives."""
    say(session, sql)
    return session.stdout.readline().strip()


def go_on_once_it_is_asked_for(halted, pid):
    """It may have been halted while it loads the rows: then we wait for it, and not only it for us."""
    with subprocess.Popen(PSQL, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as watching:
        while ask(watching, ASKED.format(pid)) == "0":
            time.sleep(0.02)
        os.kill(int(halted), signal.SIGCONT)
        watching.stdin.close()


def main():
    end, halted = time.monotonic() + 60, os.environ.get("NEXUS_TEST_HALTED")
    with subprocess.Popen(PSQL, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as session:
        pid = ask(session, "SELECT pg_backend_pid()")
        while True:
            if time.monotonic() > end:
                sys.exit("the rows did not come")
            # Queues behind the transaction that loads the rows, if that has begun.
            say(session, "BEGIN; LOCK TABLE m.gate; SELECT count(*) FROM m.gate")
            if halted:
                go_on_once_it_is_asked_for(halted, pid)
                halted = None
            if session.stdout.readline().strip() == "400":
                break
            ask(session, "ROLLBACK; SELECT 0")
        while ask(session, WAITING) != "1":
            if time.monotonic() > end:
                sys.exit("the comparison was not seen to wait: the lock came too late")
            time.sleep(0.02)
        if sys.argv[1] == "--run":
            # Only then is the lock let go of; the session may be among what the command ends.
            sys.exit(subprocess.run(sys.argv[2:], check=False).returncode)
        ask(session, sys.argv[1] + "; COMMIT; SELECT 'done'")
        session.stdin.close()
        if session.wait() != 0:
            sys.exit("the damage could not be done")


if __name__ == "__main__":
    main()
