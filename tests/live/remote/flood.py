#!/usr/bin/env python3
"""Promise: while one address floods the proxy, another one is served; the flood gets 429 with Retry-After.
usage: flood.py AUTHORITY CONFIG TARGET FLOODER OTHER     CONFIG: curl's, with the token"""

import http.client
import re
import socket
import ssl
import sys
import threading
import time

NAME = "nexus.test"


class Connection(http.client.HTTPSConnection):
    """A connection to TARGET, from one address."""

    def connect(self):
        raw = socket.create_connection((self.target, 443), timeout=60, source_address=(self.source, 0))
        self.sock = self._context.wrap_socket(raw, server_hostname=NAME)


def ask(context, header, target, source):
    connection = Connection(NAME, context=context, timeout=60)
    connection.target, connection.source = target, source
    try:
        connection.request("GET", "/stats", headers=header)
        answer = connection.getresponse()
        answer.read()
        return answer.status, answer.headers.get("Retry-After")
    finally:
        connection.close()


def main():
    authority, config, target, flooder, other = sys.argv[1:]
    token = re.search(r'Bearer ([^"]+)', open(config, encoding="utf-8").read())[1]
    header = {"Authorization": f"Bearer {token}"}
    context = ssl.create_default_context(cafile=authority)
    ending, flooded, lock = threading.Event(), [], threading.Lock()

    def served(count):
        """Sends the other's requests, each of which must succeed; returns their times."""
        times = []
        for _ in range(count):
            began = time.monotonic()
            status, _ = ask(context, header, target, other)
            times.append(time.monotonic() - began)
            if status != 200:
                sys.exit(f"the other one got {status}")
        return sorted(times)[int(count * 0.95)]

    def flood():
        while not ending.is_set():
            answer = ask(context, header, target, flooder)
            with lock:
                flooded.append(answer)

    quiet = served(40)
    threads = [threading.Thread(target=flood, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + 120
    while not any(status == 429 for status, _ in flooded):
        if time.monotonic() > deadline:
            sys.exit(f"no answer of the flood was 429: {flooded[:5]}")
        time.sleep(0.05)
    # The rate limit is for each address; the other one stays below its own.
    loud = served(40)
    ending.set()
    for thread in threads:
        thread.join()
    late = [answer for answer in flooded if answer[0] not in (200, 429)]
    if late:
        sys.exit(f"the flood was answered with {late[:3]}")
    if any(status == 429 and not int(wait or 0) for status, wait in flooded):
        sys.exit("429 without Retry-After")
    refused = sum(status == 429 for status, _ in flooded)
    print(f"flood: {len(flooded)} requests, {refused} of them 429; another's p95 {quiet * 1000:.0f} ms before, {loud * 1000:.0f} ms meanwhile")


main()
