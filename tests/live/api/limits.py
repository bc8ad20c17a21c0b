#!/usr/bin/env python3
"""Promise: deliberately slow clients, many at once, or a flood of requests do not starve another client; a body that is too large is
refused; a full pool answers 503 with Retry-After and never hangs."""

import contextlib
import json
import re
import select
import socket
import subprocess
import threading
import time
import uuid

from client import ADDRESS, Client, Cut, expect

AGENT = f"limits-{uuid.uuid4().hex[:8]}"
# Seconds within which another client must be served: generous for slow machines, because a starved client is never served.
SERVED = 30


def served(what):
    """Requires an insert and a search of another client, on new connections, to succeed."""
    began = time.monotonic()
    client = Client(f"{AGENT}-other", timeout=SERVED, kept=False)
    for path, body in (("/memory/action", {"action_type": "note", "action_details": {"content": what}}), ("/memory/search", {"query": what, "mode": "text"})):
        while (answer := client.post(path, body)).status == 503:
            # A request to retry is a valid answer, but a retry must succeed in time.
            expect(time.monotonic() - began < SERVED, f"{what}: another client is turned away for {SERVED} seconds: {answer}")
            time.sleep(0.1)
        expect(answer.status == 200, f"{what}: another client got {answer}")
    expect(time.monotonic() - began < 2 * SERVED, f"{what}: another client waited {time.monotonic() - began:.0f} s")


SLOW = {
    "headers": b"POST /memory/action HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: ",
    "bodies": b"POST /memory/action HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
    "nothing at all": b"",
}


def slow_requests_hold_nobody_up():
    """Clients send only the beginning of a request: others are served meanwhile, and the server closes the slow connections."""
    with contextlib.ExitStack() as stack:
        sockets = []
        for first in SLOW.values():
            for _ in range(200):
                # The server may also close it at once.
                with contextlib.suppress(OSError):
                    one = stack.enter_context(socket.create_connection(ADDRESS, timeout=5))
                    one.sendall(first)
                    sockets.append((first, one))
        served("slow requests")
        end = time.monotonic() + 60
        for first, one in sockets:
            one.settimeout(max(0.1, end - time.monotonic()))
            try:
                answer = one.recv(4096)
            except TimeoutError:
                raise AssertionError(f"a request that begins with {first!r} and never ends is kept for a minute") from None
            except OSError:
                continue
            expect(not answer or re.match(rb"HTTP/1.1 (400|408|503) ", answer), f"a slow request was answered with {answer[:200]}")


def a_flood_starves_nobody():
    ending, answered, wrong = threading.Event(), [], []

    def flood():
        client = Client(AGENT, timeout=30)
        while not ending.is_set():
            try:
                answer = client.post("/memory/search", {"query": "a flood of words", "min_similarity": 0})
            except Cut as cut:
                # A closed connection is also a valid refusal.
                answered.append("cut")
                if len(answered) > 100_000:
                    wrong.append(cut)
                continue
            answered.append(answer.status)
            if answer.status not in (200, 429, 503):
                wrong.append(answer)

    threads = [threading.Thread(target=flood) for _ in range(60)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(5):
            served("a flood")
    finally:
        ending.set()
        for thread in threads:
            thread.join()
    expect(not wrong, f"the flood was answered with {wrong[:2]}")
    expect(answered.count(200) > 0, "no request of the flood was served")


def large_bodies_are_refused():
    head = b"POST /memory/action HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    # With a Content-Length of a terabyte: the answer does not wait for the body.
    with socket.create_connection(ADDRESS, timeout=30) as one:
        one.sendall(head + b"Content-Length: 1099511627776\r\n\r\n")
        answer = one.recv(4096)
        expect(b" 413 " in answer.split(b"\r\n")[0], f"a body of a terabyte was answered with {answer[:200]}")
    # Without a length and an end: an answer or a close comes long before a quarter of a gigabyte.
    with socket.create_connection(ADDRESS, timeout=30) as one:
        one.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        sent = 0
        with contextlib.suppress(ConnectionError):
            while not select.select([one], [], [], 0)[0] and sent < 256 << 20:
                one.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
                sent += 0x10000
        expect(sent < 256 << 20, "256 MiB of a body without a length were taken")
    text = "a" * (16 << 20)
    try:
        answer = Client(AGENT).post("/memory/action", {"action_type": "note", "action_details": {"content": text}})
        expect(answer.status in (413, 422) and answer.json()["code"], f"16 MiB of text: {answer}")
    except Cut:
        # Closed during the sending, when the client cannot see the answer.
        pass


def an_import_must_make_progress():
    """An import that sends a byte now and then must end, because it holds one of few places."""
    with socket.create_connection(ADDRESS, timeout=1) as one:
        one.sendall(b"POST /memory/import HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100000\r\n\r\n")
        end, answer = time.monotonic() + SERVED, b""
        while not answer and time.monotonic() < end:
            one.sendall(b"\n")
            with contextlib.suppress(TimeoutError):
                answer = one.recv(4096)
        expect(b" 408 " in answer.split(b"\r\n")[0], f"an import of a byte a second: {answer[:200]} within {SERVED} seconds")


def an_import_keeps_little_in_memory():
    """Lines of megabytes of metadata are stored before many of them are in memory."""
    line = json.dumps({"episode_id": "ID", "created_at": "2026-01-01T00:00:00Z", "content": "x", "metadata": {"long": "y" * (3 << 20)}})
    ids = [str(uuid.uuid4()) for _ in range(40)]
    pid = subprocess.run(["systemctl", "show", "--property=MainPID", "--value", "nexus-api"], capture_output=True, text=True, check=True).stdout.strip()
    # Forgets the peak of what came before.
    with open(f"/proc/{pid}/clear_refs", "w", encoding="ascii") as peak:
        peak.write("5")
    answer = Client(AGENT, ADDRESS, timeout=300).post("/memory/import", raw="\n".join(line.replace("ID", each) for each in ids).encode())
    expect(answer.status == 200 and answer.json()["imported"] == len(ids), f"an import of lines of 3 MiB: {answer}")
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:")) >> 10
    print(f"after an import of {len(ids)} lines of 3 MiB, the most that nexus-api took was {peak} MiB")
    # MemoryHigh of the unit.
    expect(peak < 160, f"nexus-api took {peak} MiB for an import of lines of 3 MiB")


def a_full_pool_says_so():
    """With the table locked, each insert holds its connection; inserts beyond the pool must get 503."""
    lock = subprocess.Popen(["docker", "exec", "-i", "nexus-postgres", "psql", "-XAtq", "--dbname=nexus"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    answers = []

    def insert(number):
        began = time.monotonic()
        answer = Client(AGENT, timeout=90).post("/memory/action", {"action_type": "note", "action_details": {"content": f"full {number}"}})
        answers.append((answer, time.monotonic() - began))

    try:
        lock.stdin.write("BEGIN; LOCK TABLE nexus_memory.zep_episodic_memory IN ACCESS EXCLUSIVE MODE; SELECT 'locked';\n")
        lock.stdin.flush()
        expect(lock.stdout.readline() == "locked\n", "the table could not be locked")
        threads = [threading.Thread(target=insert, args=(number,)) for number in range(60)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(90)
        expect(len(answers) == len(threads), f"{len(threads) - len(answers)} requests hang while the table is locked")
        # /health does not wait.
        expect(Client(timeout=SERVED).get("/health").status in (200, 503), "health does not answer while the pool is full")
    finally:
        lock.stdin.close()
        lock.wait()
    refused = [answer for answer, _ in answers if answer.status == 503]
    expect(refused and all(int(answer.headers["Retry-After"]) >= 1 and answer.json()["code"] for answer in refused), f"a full pool answers {answers[0]}")
    expect(all(answer.status in (503, 504) for answer, _ in answers), f"while the table was locked: {[answer for answer, _ in answers if answer.status not in (503, 504)][:1]}")
    served("after a full pool")
    left = json.loads(Client(AGENT).get("/stats").body)["stats"]["total_episodes"]
    print(f"60 inserts while the table was locked: {len(refused)} told to come back, the slowest after {max(seconds for _, seconds in answers):.1f} s; {left} episodes before and after")


def main():
    slow_requests_hold_nobody_up()
    a_flood_starves_nobody()
    large_bodies_are_refused()
    an_import_must_make_progress()
    an_import_keeps_little_in_memory()
    before = Client(AGENT).get("/stats").json()["stats"]["total_episodes"]
    a_full_pool_says_so()
    after = Client(AGENT).get("/stats").json()["stats"]["total_episodes"]
    expect(before == after, f"{after - before} inserts that were refused are there")


if __name__ == "__main__":
    main()
