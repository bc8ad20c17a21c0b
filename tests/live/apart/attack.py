#!/usr/bin/env python3
"""An attacking program in place of a job, inside that job's unit: tries each of its arguments, and reports the result.

usage: attack.py WAY:TARGET…    one line each: `reached WAY:TARGET`, or `kept out of WAY:TARGET: why`

open:FILE reads a byte; list:DIRECTORY reads its names; connect:SOCKET opens a connection; signal:PID checks the permission to send a
signal; attach:PID the permission to trace a process; write:PATH the permission to write to a file or directory.
"""

import ctypes
import os
import socket
import sys


def read(file):
    with open(file, "rb", buffering=0) as opened:
        opened.read(1)


def connect(path):
    with socket.socket(socket.AF_UNIX) as opened:
        opened.connect(path)


def attach(process):
    # PTRACE_SEIZE does not change the traced process.
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(0x4206, int(process), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def write(path):
    if not os.access(path, os.W_OK):
        raise PermissionError(None, "no permission to write")


WAYS = {"open": read, "write": write, "list": os.listdir, "connect": connect, "signal": lambda process: os.kill(int(process), 0), "attach": attach}

for goal in sys.argv[1:]:
    way, target = goal.split(":", 1)
    try:
        WAYS[way](target)
        print(f"reached {goal}")
    except OSError as error:
        print(f"kept out of {goal}: {error.strerror}")
