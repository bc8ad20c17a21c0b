"""A client of nexus-api for its tests: JSON over the Unix socket or TCP, on one kept connection."""

import http.client
import json
import os
import socket
import struct
import subprocess
import time

SOCKET = "/run/nexus/api.sock"
ADDRESS = ("127.0.0.1", 8003)


class Cut(Exception):
    """The connection was refused, or ended before the answer. `reused`: it had carried an answer, so the server may have closed it before
    the request."""

    def __init__(self, said, reused):
        super().__init__(said)
        self.reused = reused


class Answer:
    """Status, headers and body of one answer."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def json(self):
        """Returns the body, which must be JSON."""
        return json.loads(self.body)

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


class OverSocket(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        # A socket with a Python timeout does not wait for a place in the listener's queue (EAGAIN).
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", int(self.timeout), 0))
        self.sock.connect(self.path)
        self.sock.settimeout(self.timeout)


# Seconds after which an idle connection is replaced: nexus-api closes one after 20 (connections.rs, HEADER).
RESTED = 10


class Client:
    """Calls as one agent. `where` is the path of a socket, or a pair of host and port."""

    def __init__(self, agent=None, where=SOCKET, timeout=30, kept=True):
        self.agent, self.where, self.timeout, self.kept = agent, where, timeout, kept
        self.connection, self.used = None, 0

    def open(self):
        """Returns a connection, new or kept."""
        if self.connection is not None and time.monotonic() - self.used > RESTED:
            self.close()
        if self.connection is None:
            if isinstance(self.where, str):
                self.connection = OverSocket(self.where, self.timeout)
            else:
                self.connection = http.client.HTTPConnection(*self.where, timeout=self.timeout)
        return self.connection

    def close(self):
        """Closes the connection; the next call opens a new one."""
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def call(self, method, path, body=None, headers=None, raw=None):
        """Sends one request, with body as JSON, or raw bytes. Raises Cut, never another network error."""
        given = {"X-Nexus-Agent": self.agent} if self.agent is not None else {}
        if body is not None:
            raw = json.dumps(body).encode()
        if raw is not None:
            given["Content-Type"] = "application/json"
        if not self.kept:
            given["Connection"] = "close"
        given.update(headers or {})
        kept = self.connection
        connection = self.open()
        reused = connection is kept
        try:
            is_cut = False
            try:
                connection.request(method, path, body=raw, headers={k: v for k, v in given.items() if v is not None})
            except BrokenPipeError:
                # A server that refuses may answer before it has read the body. Read that answer; it is the last.
                is_cut = True
            answer = connection.getresponse()
            got = Answer(answer.status, answer.headers, answer.read())
        except (OSError, http.client.HTTPException) as cause:
            self.close()
            raise Cut(f"{method} {path}: {type(cause).__name__}: {cause}", reused) from cause
        self.used = time.monotonic()
        if is_cut or answer.will_close or not self.kept:
            self.close()
        return got

    def get(self, path, **options):
        """Sends a GET."""
        return self.call("GET", path, **options)

    def post(self, path, body=None, **options):
        """Sends a POST, with a JSON body if given."""
        return self.call("POST", path, body, **options)

    def delete(self, path, **options):
        """Sends a DELETE."""
        return self.call("DELETE", path, **options)

    def remember(self, content, tags=(), kind="note", headers=None, **details):
        """Sends POST /memory/action, which must succeed; returns the episode's id."""
        answer = self.post("/memory/action", {"action_type": kind, "action_details": {"content": content, **details}, "tags": list(tags)}, headers=headers)
        if answer.status != 200:
            raise AssertionError(f"an insert was answered with {answer}")
        return answer.json()["episode_id"]


def as_owner(sql):
    """Runs SQL in the database as its owner; returns rows, as lists of text."""
    psql = ["docker", "exec", "-i", "nexus-postgres", "psql", "-XAtq", "--set=ON_ERROR_STOP=1", "--dbname=nexus", "--field-separator=\t"]
    done = subprocess.run(psql, input=sql, text=True, capture_output=True, check=False)
    if done.returncode:
        raise AssertionError(f"psql: {done.stderr.strip()}")
    return [line.split("\t") for line in done.stdout.splitlines()]


def seed():
    """Returns the seed of a test's random choices: NEXUS_TEST_SEED, printed so that a run can be repeated."""
    value = int(os.environ.get("NEXUS_TEST_SEED", "17048095"))
    print(f"seed {value} (NEXUS_TEST_SEED={value} repeats it)", flush=True)
    return value


def expect(holds, what):
    """Fails with `what` unless `holds`."""
    if not holds:
        raise AssertionError(what)
