"""Holds locks until its input ends. Prints `ready` when it has them.

usage: locks.py many DIRECTORY FILES LOCKS       record locks in each of so many files
       locks.py same-number DIRECTORY NUMBER     the lock of a file that has this inode number
"""

import fcntl
import os
import sys


def many(directory, files, locks):
    for number in range(int(files)):
        file = os.open(f"{directory}/{number}", os.O_RDWR | os.O_CREAT, 0o600)
        for place in range(int(locks)):
            # Adjacent ones would be merged.
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, 2 * place)


def same_number(directory, number):
    for name in range(1000):
        file = os.open(f"{directory}/{name}", os.O_RDWR | os.O_CREAT, 0o600)
        if os.fstat(file).st_ino == int(number):
            fcntl.flock(file, fcntl.LOCK_EX)
            return
        os.close(file)
    sys.exit(f"no file has the number {number}")


globals()[sys.argv[1].replace("-", "_")](*sys.argv[2:])
print("ready", flush=True)
sys.stdin.read()
