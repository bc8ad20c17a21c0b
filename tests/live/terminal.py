"""Simulates a person on their own terminal: terminal.py FILE writes the first output there to FILE, and logs out."""

import os
import pty
import subprocess
import sys

PATIENCE = 30

master, slave = pty.openpty()
name = os.ttyname(slave)
run = ["systemd-run", "--quiet", "--collect", "--unit=alert-test-person", "--property=PAMName=login", "--property=User=root"]
run += ["--property=StandardInput=tty", f"--property=TTYPath={name}", "sleep", str(PATIENCE)]
subprocess.run(run, check=True)
seen = b""
with open(sys.argv[1], "wb") as kept:
    while b"NEXUS" not in seen:
        # Fails if nothing appears within the time limit.
        seen += os.read(master, 4096)
    kept.write(seen)
subprocess.run(["systemctl", "stop", "alert-test-person.service"], check=True)
