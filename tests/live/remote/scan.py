#!/usr/bin/env python3
"""Prints the TCP ports of a machine that accept a connection from one address. usage: scan.py SOURCE TARGET all|few
all: every port; few: the lowest 1024, and those that NEXUS and its parts use"""

import select
import socket
import sys
import time

AT_ONCE = 256
# Seconds for one port. Ports that drop packets are given up after it; within one machine an answer is immediate.
PATIENCE = 3
FEW = [*range(1, 1025), 2019, 3000, 5432, 6379, 8003, 8080, 8443, 6668, 6669, 9090]


def main():
    source, target, which = sys.argv[1:]
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    left, waiting, found = list(range(1, 65536) if which == "all" else FEW), {}, []
    poll = select.epoll()
    looked = time.monotonic()
    while left or waiting:
        while left and len(waiting) < AT_ONCE:
            port = left.pop()
            one = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            one.bind((source, 0))
            one.connect_ex((target, port))
            poll.register(one.fileno(), select.EPOLLOUT)
            waiting[one.fileno()] = (one, port, time.monotonic())
        done = [number for number, _ in poll.poll(0.2)]
        for number in done:
            if waiting[number][0].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                found.append(waiting[number][1])
        if time.monotonic() - looked > 0.5:
            looked = time.monotonic()
            done += [number for number, (_, _, since) in waiting.items() if number not in done and looked - since > PATIENCE]
        for number in done:
            # Closing it also removes it from the poll.
            waiting.pop(number)[0].close()
    print(*sorted(found))


main()
