"""Stores episodes through the API, one after the other, until SIGTERM; records each acknowledged one, and when others were refused:
writer.py ACKNOWLEDGED NAME"""

import http.client
import json
import signal
import sys
import time
from pathlib import Path

acknowledged, name = Path(sys.argv[1]), sys.argv[2]
ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(True))


def stored(connection, content):
    body = json.dumps({"action_type": "note", "action_details": {"content": content}})
    connection.request("POST", "/memory/action", body, {"Content-Type": "application/json", "X-Nexus-Agent": "nexus"})
    answer = connection.getresponse()
    answer.read()
    return answer.status < 300


refused, longest, since = 0, 0.0, None
with acknowledged.open("a", buffering=1) as file:
    number, connection = 0, None
    while not ended:
        content = f"{name} {number}"
        number += 1
        try:
            connection = connection or http.client.HTTPConnection("127.0.0.1", 8003, timeout=20)
            ok = stored(connection, content)
        except OSError:
            ok, connection = False, None
        except http.client.HTTPException:
            ok, connection = False, None
        if ok:
            file.write(content + "\n")
            if since:
                longest, since = max(longest, time.monotonic() - since), None
        else:
            refused += 1
            since = since or time.monotonic()
            time.sleep(0.05)  # a client's pause between two tries
print(f"{number - refused} stored, {refused} refused, nothing stored for {longest:.1f} s at the longest")
