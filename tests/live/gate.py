#!/usr/bin/env python3
"""Damages a restored database exactly between restore and comparison, or runs a command at that moment:
usage gate.py SQL, gate.py --run COMMAND [ARGUMENT…]. Once this session waits for the lock, it continues the stopped process NEXUS_TEST_HALTED.

Locks table m.gate once its rows are there. The comparison begins with that table, so while it waits for the lock, everything is restored
and nothing is compared.
"""

import os
import signal
import subprocess
import sys
import time

PSQL = ["docker", "exec", "-i", "--user", "1879048999", "nexus-scratch-postgres", "psql", "-XAtq", "--set=ON_ERROR_STOP=1",
        "--dbname=restore_test"]
# Counts other sessions that wait; the test's COPY requests the weakest lock.
WAITING = ("SELECT count(*) FROM pg_locks WHERE relation = 'm.gate'::regclass AND NOT granted "
           "AND mode = 'AccessShareLock'")
# Whether a session has the lock or waits for it.
ASKED = "SELECT count(*) FROM pg_locks WHERE relation = 'm.gate'::regclass AND mode = 'AccessExclusiveLock' AND pid = {}"


def say(session, sql):
    session.stdin.write(sql + ";\n")
    session.stdin.flush()


def ask(session, sql):
    """Runs sql, and returns its only line."""
    say(session, sql)
    return session.stdout.readline().strip()


def go_on_once_it_is_asked_for(halted, pid):
    """Continues the stopped process. It may have stopped while it loads the rows, and then this session waits for it."""
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
                sys.exit("the rows did not appear")
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
                sys.exit("the comparison did not wait: the lock came too late")
            time.sleep(0.02)
        if sys.argv[1] == "--run":
            # Releases the lock afterwards; the command may end this session.
            sys.exit(subprocess.run(sys.argv[2:], check=False).returncode)
        ask(session, sys.argv[1] + "; COMMIT; SELECT 'done'")
        session.stdin.close()
        if session.wait() != 0:
            sys.exit("cannot do the damage")


if __name__ == "__main__":
    main()
