#!/usr/bin/env python3
"""Promise: a user who holds more idle connections than one socket accepts, and reopens closed ones, shuts nobody out. Another user
always gets answers on TCP and on api.sock, and nexus-health says so. Slow requests, large bodies, imports and exports over TCP, and those
of a member of the group nexus, leave enough of each for another user of api.sock."""

import contextlib
import functools
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
LONG = 12
# Data of a held connection: nothing, or the beginning of an endless header.
IDLE = (b"", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ")
# Requests of many agents without their bodies: each takes a slot until nexus-api's timeout.
SLOW = tuple(b"POST /memory/action HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Nexus-Agent: crowd-%d\r\nContent-Length: 9\r\n\r\n{" % agent for agent in range(10))
# Large bodies that never end, and imports: each takes memory or the place of a long call until nexus-api's timeout.
LARGE = tuple(
    b"POST /memory/action HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Nexus-Agent: crowd-%d\r\nContent-Length: 4194304\r\n\r\n" % agent + b" " * (4194304 - 100)
    for agent in range(8)
) + (b"POST /memory/import HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{",) * 4
ALL = (ADDRESS, ("::1", ADDRESS[1]), SOCKET)


def hold(user, place, beginnings, number, ready):
    """As `user`, keeps `number` connections to `place` open, and reopens closed ones. Each sends one of `beginnings`."""
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

    for each in range(number):
        one_more(each)
    ready.set()
    while True:
        for key, _ in selector.select():
            # After an answer or the end, this connection is useless.
            selector.unregister(key.fileobj)
            key.fileobj.close()
            one_more(key.data)


@contextlib.contextmanager
def crowd(name, place, beginnings, number=EACH, processes=PROCESSES):
    """Attacks `place` as the user `name`, with `number` connections of each process."""
    user, ready = pwd.getpwnam(name), [multiprocessing.Event() for _ in range(processes)]
    processes = [multiprocessing.Process(target=hold, args=(user, place, beginnings, number, event), daemon=True) for event in ready]
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


def is_stored(attack):
    """As another user of api.sock, stores texts that need memory, and exports and imports: each answer must be 200."""
    client, count, wrong, end = Client("crowd", SOCKET, kept=False), 0, [], time.monotonic() + LONG
    client.remember("a text to export")
    while time.monotonic() < end:
        answers = [client.post("/memory/action", {"action_type": "note", "action_details": {"content": "word " * 20000}})]
        answers.append(client.get("/memory/export"))
        answers.append(client.post("/memory/import", raw=answers[-1].body if answers[-1].status == 200 else b""))
        count += len(answers)
        wrong += [answer for answer in answers if answer.status != 200]
    print(f"{attack}: {count} stores, exports and imports of another user, {len(wrong)} refused", flush=True)
    expect(count > 10 and not wrong, f"{len(wrong)} of {count} were refused, the first: {wrong[0] if wrong else ''}")


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
    for what, beginnings, number, test in (("slow requests", SLOW, 80, functools.partial(is_answered, places=(SOCKET,))), ("large requests", LARGE, len(LARGE), is_stored)):
        with crowd("nobody", ADDRESS, beginnings, number, 1):
            test(f"{what} over TCP")
            with crowd("nobody", SOCKET, beginnings, number, 1):
                test(f"{what} over TCP, and of a member of the group on api.sock")
                health_sees_the_api()


if __name__ == "__main__":
    main()
