#!/usr/bin/env python3
"""Every TCP port of a machine, from one address: prints those that take a connection. usage: scan.py SOURCE TARGET"""

import errno
import select
import socket
import sys
import time

AT_ONCE = 500
# Of one port. Those that drop what comes are given up after it; on a cable within one machine an answer takes no time.
PATIENCE = 3


def main():
    source, target = sys.argv[1:]
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    left, waiting, found = list(range(65535, 0, -1)), {}, []
    poll = select.poll()
    while left or waiting:
        while left and len(waiting) < AT_ONCE:
            port = left.pop()
            one = socket.socket(family)
            one.setblocking(False)
            one.bind((source, 0))
            error = one.connect_ex((target, port))
            if error == 0:
                found.append(port)
            if error in (errno.EINPROGRESS,):
                poll.register(one, select.POLLOUT)
                waiting[one.fileno()] = (one, port, time.monotonic())
            else:
                one.close()
        done = [number for number, _ in poll.poll(100)]
        late = [number for number, (_, _, since) in waiting.items() if time.monotonic() - since > PATIENCE]
        for number in {*done, *late}:
            one, port, _ = waiting.pop(number)
            poll.unregister(number)
            if number in done and one.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                found.append(port)
            one.close()
    print(*sorted(found))


main()
