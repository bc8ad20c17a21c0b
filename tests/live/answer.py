"""Runs a command on its own terminal. When it asks for the end of the owner's key, types it: once wrong, once right."""
import os
import pty
import re
import sys

screen = b""
typed = 0
child, terminal = pty.fork()
if child == 0:
    os.execv(sys.argv[1], sys.argv[1:])
while True:
    try:
        got = os.read(terminal, 4096)
    except OSError:  # Linux returns EIO when the other side has closed
        break
    if not got:
        break
    screen += got
    if screen.count(b"(or q to stop): ") > typed:
        key = re.search(rb"AGE-SECRET-KEY-[0-9A-Z]+", screen).group()
        os.write(terminal, (b"nonsense" if typed == 0 else key[-6:]) + b"\n")
        typed += 1
sys.stdout.buffer.write(screen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
