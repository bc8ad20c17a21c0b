"""A client of nexus-embed for tests/live/embed.sh, with its own implementation of the protocol."""

import json
import random
import select
import socket
import struct
import sys
import threading
import time

SOCKET = "/run/nexus/embed.sock"


class Refused(Exception):
    pass


def connect():
    it = socket.socket(socket.AF_UNIX)
    # Ends the test if the service hangs.
    it.settimeout(300)
    it.connect(SOCKET)
    return it


def exactly(it, count):
    data = b""
    while len(data) < count:
        more = it.recv(count - len(data))
        if not more:
            raise ConnectionError("closed")
        data += more
    return data


def answer(it):
    body = exactly(it, struct.unpack("<I", exactly(it, 4))[0])
    if body[0] == 1:
        said = json.loads(body[1:])
        raise Refused(f"{said['code']}: {said['message']}")
    length = struct.unpack_from("<H", body, 1)[0]
    version = body[3 : 3 + length].decode()
    count, dimensions = struct.unpack_from("<HH", body, 3 + length)
    numbers = struct.unpack_from(f"<{count * dimensions}f", body, 7 + length)
    assert len(body) == 7 + length + count * dimensions * 4
    return version, [numbers[i * dimensions : (i + 1) * dimensions] for i in range(count)]


def frame(texts, kind="passage"):
    body = json.dumps({"v": 1, "kind": kind, "texts": texts}).encode()
    return struct.pack("<I", len(body)) + body


def ask(it, texts, kind="passage"):
    it.sendall(frame(texts, kind))
    return answer(it)


class Client:
    """Follows the protocol: if the connection closes before an answer, opens a new one, and repeats the request."""

    def __init__(self):
        self.it = None

    def ask(self, texts, kind="passage", tries=1):
        for left in range(tries, -1, -1):
            try:
                if self.it is None:
                    self.it = connect()
                return ask(self.it, texts, kind)
            except ConnectionError:
                self.it = None
                if left == 0:
                    raise


def cosine(a, b):
    return sum(x * y for x, y in zip(a, b)) / (sum(x * x for x in a) * sum(y * y for y in b)) ** 0.5


def one(text):
    version, [vector] = ask(connect(), [text])
    print(version, len(vector), f"{sum(x * x for x in vector) ** 0.5:.4f}", " ".join(f"{x:.2f}" for x in vector))


def refused():
    for body in [b"", b"{", b'{"v":2,"kind":"query","texts":["x"]}', b'{"v":1,"kind":"query","texts":[]}', b"\xff" * 1000,
                 json.dumps({"v": 1, "kind": "query", "texts": ["x"] * 65}).encode()]:
        it = connect()
        it.sendall(struct.pack("<I", len(body)) + body)
        try:
            answer(it)
            sys.exit(f"{body[:40]} was answered")
        except Refused as why:
            assert str(why).startswith("bad_request"), why
        assert it.recv(1) == b"", "the connection stays open after a malformed request"
    it = connect()
    it.sendall(struct.pack("<I", (4 << 20) + 1))
    try:
        answer(it)
        sys.exit("a request that is too long was answered")
    except Refused as why:
        assert "more than" in str(why), why
    # Half a request gets an error after ten seconds; others get answers meanwhile.
    slow = connect()
    slow.sendall(frame(["memory"])[:-1])
    began = time.monotonic()
    while time.monotonic() < began + 2:
        ask(connect(), ["memory"])
    try:
        answer(slow)
        sys.exit("half a request was answered")
    except Refused as why:
        assert "ten seconds" in str(why), why


def unread():
    """Sends requests and reads no answer: the service closes the connection, although nobody else needs it."""
    it = connect()
    for _ in range(8):
        it.sendall(frame(["memory"] * 64))
    ends = select.poll()
    ends.register(it, 0)
    # Ten seconds for an answer, after the time for the vectors.
    assert ends.poll(120_000), "it holds the connection of a client that reads no answer"
    answers = 0
    try:
        while True:
            answer(it)
            answers += 1
    except ConnectionError:
        pass
    assert answers < 8, "all answers fit in the socket's buffer"


def around(seconds):
    """Sends requests on old and new connections just around the service's idle exit."""
    end = time.monotonic() + float(seconds)
    old = Client()
    asked = 0
    while time.monotonic() < end:
        # It exits one second after the last request, within a quarter of a second.
        time.sleep(random.uniform(0.9, 1.4))
        # One try on the old connection, which may be closed, then one on a new one: never a third.
        (old if random.random() < 0.5 else Client()).ask(["memory"], tries=1)
        asked += 1
    assert asked > 10, asked


def steadily(seconds):
    """Runs several clients at once; each checks that it gets the vectors of its own texts."""
    words = ["cat", "dog", "house", "river", "bread", "clock", "green", "seven"]
    known = dict(zip(words, Client().ask(words, tries=20)[1]))
    end = time.monotonic() + float(seconds)
    faults = []
    counts = []

    def work(seed):
        client, mine, count = Client(), random.Random(seed), 0
        try:
            while time.monotonic() < end:
                texts = [mine.choice(words) for _ in range(mine.randint(1, 40))]
                _, vectors = client.ask(texts, mine.choice(["query", "passage"]), tries=20)
                count += 1
                for text, vector in zip(texts, vectors, strict=True):
                    if cosine(vector, known[text]) < 0.9999:
                        faults.append(f"a wrong vector for {text}")
        except Exception as why:  # the test reports any error
            faults.append(repr(why))
        counts.append(count)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults or min(counts) == 0:
        print(counts, faults[:3])
        sys.exit(1)


def flood():
    """Opens two hundred connections at once, half of them silent: each request gets an answer or `busy`, and afterwards all is as before."""
    silent = []
    outcomes = []

    def work():
        try:
            it = connect()
            ask(it, ["memory"] * 64)
            outcomes.append("answered")
        except Refused as why:
            outcomes.append(str(why).split(":")[0])
        except ConnectionError:
            outcomes.append("closed")

    for _ in range(40):
        silent.append(connect())
    threads = [threading.Thread(target=work) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(outcomes) <= {"answered", "busy", "closed"} and "answered" in outcomes and "busy" in outcomes, outcomes
    for it in silent:
        it.close()
    end = time.monotonic() + 30
    while True:
        try:
            ask(connect(), ["memory"])
            return
        except (Refused, ConnectionError):
            assert time.monotonic() < end, "it does not serve any more"


def hold(connections):
    """Holds idle connections and requests that never end: prints `ready`, waits for the end of its input, prints how many are left."""
    held = [connect() for _ in range(int(connections))]
    for it in held[::2]:
        it.sendall(b"\x10")
    # As much memory as there is for requests, announced and not sent; it is taken again whenever the service gives it up.
    ended = threading.Event()

    def announce():
        while not ended.is_set():
            try:
                it = connect()
                it.sendall(struct.pack("<I", 4 << 20))
                answer(it)
            except (Refused, OSError):
                time.sleep(0.05)

    threads = [threading.Thread(target=announce, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    print("ready", flush=True)
    sys.stdin.read()
    ended.set()
    left = 0
    for it in held:
        it.setblocking(False)
        try:
            left += it.recv(1) != b""
        except BlockingIOError:
            left += 1
        except ConnectionError:
            pass
    print(left)


def undisturbed(seconds):
    """Sends requests on one old and on new connections: each is answered, and the old connection stays open."""
    end = time.monotonic() + float(seconds)
    old = connect()
    while time.monotonic() < end:
        ask(old, ["memory"], "query")
        # With 2 MiB of text that counts as memory and not as work.
        ask(connect(), ["memory " + " " * (2 << 20)], "query")


def own():
    """Checks rows of text and vector on standard input: each vector must be that of its text."""
    rows = [line.rstrip("\n").split("\t") for line in sys.stdin]
    assert rows
    for start in range(0, len(rows), 50):
        some = rows[start : start + 50]
        _, vectors = Client().ask([text for text, _ in some], tries=20)
        for (text, stored), vector in zip(some, vectors, strict=True):
            likeness = cosine(json.loads(stored), vector)
            assert likeness > 0.9999, f"{text}: {likeness}"


if __name__ == "__main__":
    try:
        globals()[sys.argv[1]](*sys.argv[2:])
    except (Refused, OSError, AssertionError) as why:
        sys.exit(f"{type(why).__name__}: {why}")
