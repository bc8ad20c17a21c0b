"""Simulates a person who types a command on a terminal and, once a condition holds, closes the terminal or presses keys:
hangup.py CONDITION close|KEYS COMMAND    (KEYS in Python's notation: '\\x03\\x03' is Ctrl-C twice; then waits for the command's end)"""

import codecs
import os
import pty
import subprocess
import sys
import threading
import time

PATIENCE = 300

condition, action, command = sys.argv[1:]
pid, master = pty.fork()
if pid == 0:
    os.execvp("bash", ["bash", "--login", "-i"])


def read():
    while True:
        try:
            shown = os.read(master, 4096)
        except OSError:
            return
        if not shown:
            return
        sys.stdout.buffer.write(shown)
        sys.stdout.buffer.flush()


reader = threading.Thread(target=read, daemon=True)
reader.start()
os.write(master, command.encode() + b"; exit\n")
end = time.monotonic() + PATIENCE
while subprocess.run(["bash", "-c", condition], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode != 0:
    if time.monotonic() > end:
        sys.exit(f"not in time: {condition}")
    time.sleep(0.05)
if action == "close":
    # The kernel sends SIGHUP to the shell, which forwards it.
    os.close(master)
else:
    for key in codecs.decode(action, "unicode_escape").encode():
        os.write(master, bytes([key]))
        time.sleep(0.5)  # a person's pace: the second key comes while the program handles the first
    os.waitpid(pid, 0)
