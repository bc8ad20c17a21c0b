#!/usr/bin/env python3
"""Promise: restarting nexus-api under load drops no request: its socket queues them.

HTTP permits closing an idle kept connection. The client sends a request that found it closed once more on a new one, and the row must
still exist only once. usage: restart.py [RESTARTS].
"""

import random
import subprocess
import sys

from client import expect, seed
from load import Load


class Restarted(Load):
    """No request may be refused, and none cut except one that found its kept connection closed."""

    def after_cut(self, cut, client, *request):
        expect(client.kept and cut.reused, f"a request was dropped: {cut}")
        return client.call(*request)


def main():
    restarts = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with Restarted(8, random.Random(seed())) as load:
        load.go_on(100)
        for _ in range(restarts):
            subprocess.run(["systemctl", "restart", "nexus-api"], check=True)
            load.go_on(100)
    stored, unsure = load.exact()
    expect(unsure == 0 and not load.errors, f"{unsure} inserts are there that were not acknowledged; errors {load.errors}")
    print(f"{restarts} restarts, {load.done} requests, {stored} inserts: none dropped; {len(load.cuts)} kept connections were closed between two requests")


if __name__ == "__main__":
    main()
