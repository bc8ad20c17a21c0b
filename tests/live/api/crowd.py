#!/usr/bin/env python3
"""Promise: a user who holds more idle connections than one socket accepts, and reopens closed ones, shuts nobody out. Another user
always gets answers on TCP and on api.sock, and nexus-health says so. Slow requests over TCP take no slots of api.sock."""

import contextlib
import multiprocessing
import os
import pwd
import selectors
import socket
import subprocess
import time

from client import ADDRESS, SOCKET, Client, expect

# Connections of each process of the attacker, below the usual limit of open files, and the number of processes.
EACH, PROCESSES = 1020, 2
# Seconds of the attack in which others send requests.
LONG = 40
# Data of a held connection: nothing, or the beginning of an endless header.
IDLE = (b"", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ")
# Requests of many agents without their bodies: each takes a slot until nexus-api's timeout.
SLOW = tuple(b"POST /memory/action HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Nexus-Agent: crowd-%d\r\nContent-Length: 9\r\n\r\n{" % agent for agent in range(10))
ALL = (ADDRESS, ("::1", ADDRESS[1]), SOCKET)


def hold(user, place, beginnings, ready):
    """As `user`, keeps EACH connections to `place` open, and reopens closed ones. Each sends one of `beginnings`."""
    os.setgroups([pwd.getpwnam("nexus").pw_gid] if isinstance(place, str) else [])
    os.setgid(user.pw_gid)
    os.setuid(user.pw_uid)
    selector = selectors.DefaultSelector()

    def one_more(number):
        one = socket.socket(socket.AF_UNIX if isinstance(place, str) else socket.AF_INET)
        one.settimeout(5)
        with contextlib.suppress(OSError):
            one.connect(place)
            one.sendall(beginnings[number % len(beginnings)])
        selector.register(one, selectors.EVENT_READ, number)

    for number in range(EACH):
        one_more(number)
    ready.set()
    while True:
        for key, _ in selector.select():
            # After an answer or the end, this connection is useless.
            selector.unregister(key.fileobj)
            key.fileobj.close()
            one_more(key.data)


@contextlib.contextmanager
def crowd(name, place, beginnings):
    """Attacks `place` as the user `name`."""
    user, ready = pwd.getpwnam(name), [multiprocessing.Event() for _ in range(PROCESSES)]
    processes = [multiprocessing.Process(target=hold, args=(user, place, beginnings, event), daemon=True) for event in ready]
    for process in processes:
        process.start()
    try:
        for event in ready:
            expect(event.wait(120), "the attack did not begin within two minutes")
        yield
        expect(all(process.is_alive() for process in processes), "the attack has ended by itself")
    finally:
        for process in processes:
            process.terminate()
            process.join()


def is_answered(attack, places):
    """Sends requests as another user to each of `places`, each on its own connection: every answer must be 200."""
    wrong, count, slowest, end = [], 0, 0, time.monotonic() + LONG
    while time.monotonic() < end:
        for where in places:
            began = time.monotonic()
            answer = Client("crowd", where, kept=False).get("/stats")
            count, slowest = count + 1, max(slowest, time.monotonic() - began)
            if answer.status != 200:
                wrong.append((where, answer))
    print(f"{attack}: {count} requests of another user, {len(wrong)} refused, the slowest took {slowest:.2f} s", flush=True)
    expect(not wrong, f"{len(wrong)} of {count} requests were refused, the first: {wrong[0] if wrong else ''}")


def health_sees_the_api():
    """During the attack, nexus-health must find that the API answers."""
    said = subprocess.run(["nexus-health", "--once"], capture_output=True, text=True, check=False).stdout
    line = [line for line in said.splitlines() if line.split()[1:2] == ["api"]]
    expect(len(line) == 1 and line[0].split()[0] == "ok", f"nexus-health says of the API: {line}")


def main():
    for place in (ADDRESS, SOCKET):
        with crowd("nobody", place, IDLE):
            is_answered(f"idle connections to {place}", ALL)
            health_sees_the_api()
    with crowd("nobody", ADDRESS, SLOW):
        is_answered(f"slow requests to {ADDRESS}", (SOCKET,))


if __name__ == "__main__":
    main()
