"""Exchanges the two paths of each pair repeatedly, atomically, from the first change in DIRECTORY until no pair is left:
exchange.py DIRECTORY PATH PATH [PATH PATH]…    (Prints `ready`, and at the end the number of exchanges.)"""

import ctypes
import errno
import os
import sys
import time

PATIENCE = 300
AT_FDCWD = -100
RENAME_EXCHANGE = 2

renameat2 = ctypes.CDLL(None, use_errno=True).renameat2


def exchanged(one, other):
    if renameat2(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), RENAME_EXCHANGE) == 0:
        return True
    if ctypes.get_errno() not in (errno.ENOENT, errno.ENOTDIR):
        sys.exit(f"exchanging {one} and {other}: {os.strerror(ctypes.get_errno())}")
    return False


directory, *paths = sys.argv[1:]
pairs = list(zip(paths[::2], paths[1::2], strict=True))
before = os.stat(directory).st_mtime_ns
print("ready", flush=True)
end = time.monotonic() + PATIENCE
while os.stat(directory).st_mtime_ns == before:
    if time.monotonic() > end:
        sys.exit(f"no change in {directory} in time")
times = 0
while pairs and time.monotonic() < end:
    pairs = [pair for pair in pairs if exchanged(*pair)]
    times += len(pairs)
print(times)
