#!/usr/bin/env python3
"""A client of NEXUS in Python's standard library alone: to copy, to import, or to use from the shell.

    nexus_client.py remember "The spare key is with Marta" --tag home
    nexus_client.py recall "who has the key?"
    nexus_client.py recent
    nexus_client.py forget EPISODE_ID

NEXUS_URL (http://127.0.0.1:8003), NEXUS_AGENT (nexus) and NEXUS_TOKEN_FILE (a file with the bearer token, where the API wants one)
are read from the environment. At that URL it uses the socket /run/nexus/api.sock instead, where it may.
"""

import argparse
import http.client
import ipaddress
import json
import os
import pwd
import socket
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import uuid


class Refused(Exception):
    """The API understood and refused: `code` is for programs, the text for people; `again`: an earlier try had no
    answer."""

    def __init__(self, status, said, again=False):
        field = f" (field {said['field']})" if said.get("field") else ""
        super().__init__(f"{said.get('message', 'no reason was given')}{field}")
        self.status, self.code, self.again = status, said.get("code", ""), again


class Stranger(Exception):
    """Something answered that is not NEXUS."""


# Programs on no network reach NEXUS by this socket: root, and the group nexus. Only root can put one there.
SOCKET = "/run/nexus/api.sock"
HERE = "http://127.0.0.1:8003"


class Connection(http.client.HTTPConnection):
    """A connection over plain HTTP that gives nothing to another user's program: to the socket where this user may open it, else
    over TCP. Any program can take a port that is free, so what has accepted the connection is looked up before a byte is sent."""

    def connect(self):
        if f"http://{self.host}:{self.port}" == HERE and os.access(SOCKET, os.W_OK):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(self.timeout)
            self.sock.connect(SOCKET)
            return
        super().connect()
        end = time.monotonic() + self.timeout
        while (user := user_at_the_other_end(self.sock)) is None:
            if time.monotonic() > end:
                raise TimeoutError("nobody has accepted the connection")
            time.sleep(0.01)
        if user not in trusted_users():
            raise Stranger(f"port {self.port} belongs to another user's program (user number {user})")


def user_at_the_other_end(sock):
    """The user whose program has accepted this connection; None while none has; this user's own number where the other end is on
    another machine, or this one cannot run NEXUS.

    The kernel's list of connections has a line for each end of one on this machine (proc_pid_net(5)). The line of the other end is
    the one whose local address is our remote one, and the reverse: no two connections share both. Its user is the one that the
    process had when it called accept(2), and only root can change it, so no other user's program can have one that says root.
    Before that, and after the end, there is no file (its number is 0), and the line says user 0 of anybody's connection.
    """
    ends = [(ipaddress.ip_address(name[0]), name[1]) for name in (sock.getpeername(), sock.getsockname())]
    if sys.platform != "linux" or not ends[0][0].is_loopback and ends[0][0] != ends[1][0]:
        return os.getuid()
    for family in filter(os.path.exists, ("/proc/net/tcp", "/proc/net/tcp6")):
        with open(family, encoding="ascii") as file:
            for line in file.readlines()[1:]:
                fields = line.split()
                if [end_of(field) for field in fields[1:3]] == ends and fields[9] != "0":
                    return int(fields[7])
    return None


def end_of(field):
    """Address and port of a field such as 0100007F:1F43: the address in words of this machine's byte order."""
    words, port = field.split(":")
    address = ipaddress.ip_address(b"".join(int(words[i:i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, len(words), 8)))
    return getattr(address, "ipv4_mapped", None) or address, int(port, 16)


def trusted_users():
    """Root, this user (who may have a tunnel), and NEXUS."""
    try:
        return {0, os.getuid(), pwd.getpwnam("nexus-api").pw_uid}
    except KeyError:
        return {0, os.getuid()}


class PlainHandler(urllib.request.HTTPHandler):
    """Opens http:// by Connection."""

    def http_open(self, request):
        return self.do_open(Connection, request)


class Nexus:
    """The memory of one agent.

    A request that is cut, or told to come back later, is tried again for `patience` seconds; an insert carries a key, so that
    trying again stores it once.
    """

    def __init__(self, url=HERE, agent="nexus", token=None, patience=30):
        self.url, self.agent, self.token, self.patience = url.rstrip("/"), agent, token, patience
        # On another machine the certificate identifies the server. Plain HTTP is for this machine: no web proxy from the
        # environment may see it.
        local = [PlainHandler, urllib.request.ProxyHandler({})] if self.url.startswith("http:") else []
        self.opener = urllib.request.build_opener(*local)

    @classmethod
    def from_environment(cls):
        """As NEXUS_URL, NEXUS_AGENT and NEXUS_TOKEN_FILE say."""
        token = None
        if os.environ.get("NEXUS_TOKEN_FILE"):
            with open(os.environ["NEXUS_TOKEN_FILE"], encoding="ascii") as file:
                token = file.read().strip()
        return cls(os.environ.get("NEXUS_URL", HERE), os.environ.get("NEXUS_AGENT", "nexus"), token)

    def remember(self, content, tags=(), kind="note", importance=0.5):
        """Stores a text; its id. When it comes back, the text is on disk."""
        body = {"action_type": kind, "action_details": {"content": content, "importance_score": importance}, "tags": list(tags)}
        return self.request("POST", "/memory/action", body, {"Idempotency-Key": str(uuid.uuid4())})["episode_id"]

    def recall(self, query, limit=10, min_similarity=0.3, **filters):
        """What is nearest to the query, by meaning and by words; filters: mode, tags, type, since, until."""
        body = {"query": query, "limit": limit, "min_similarity": min_similarity, **filters}
        return self.request("POST", "/memory/search", body)["results"]

    def recent(self, limit=10):
        """What was stored last, newest first."""
        return self.request("GET", f"/memory/episodic/recent?limit={int(limit)}")["episodes"]

    def forget(self, episode_id):
        """Removes an episode for good: from the database, and from every backup that is restored later."""
        try:
            self.request("DELETE", f"/memory/episode/{urllib.parse.quote(episode_id, safe='')}")
        except Refused as refused:
            # Gone, when it was tried again: the first try has done it, and its answer was lost.
            if not (refused.status == 404 and refused.again):
                raise

    def request(self, method, path, body=None, headers=None):
        """One call; the answer's JSON. Raises Refused, or OSError when there was no answer in time."""
        headers = {"X-Nexus-Agent": self.agent, "Content-Type": "application/json", **(headers or {})}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        # All of it can be repeated: an insert has its key, and the other calls change nothing the second time.
        end, again = time.monotonic() + self.patience, False
        while True:
            try:
                request = urllib.request.Request(self.url + path, data, headers, method=method)
                with self.opener.open(request, timeout=30) as answer:
                    return said_by_nexus(answer)
            except urllib.error.HTTPError as error:
                wait = int(error.headers.get("Retry-After", "1"))
                # Do not wait for the next hour, when more may be forgotten.
                if error.code not in (429, 502, 503, 504) or time.monotonic() + wait > end:
                    said = reason(error.read())
                    raise (Refused(error.code, said, again) if said else Stranger(f"HTTP {error.code}, but not from NEXUS")) from None
            except OSError:
                if time.monotonic() > end:
                    raise
                wait, again = 0.5, True
            time.sleep(wait)


def said_by_nexus(answer):
    """The answer's JSON."""
    try:
        return json.load(answer)
    except ValueError:
        raise Stranger(f"HTTP {answer.status}, but not from NEXUS") from None


def reason(body):
    """An error's JSON, or nothing where it is none: something else may listen there."""
    try:
        said = json.loads(body)
    except ValueError:
        said = None
    return said if isinstance(said, dict) else {}


def plain(text):
    """The text in one line, without characters that control a terminal or reorder the text; joiners of words and emoji stay."""
    return "".join(c if c.isprintable() or c in "\u200c\u200d" else " " for c in text)


def main():
    parser = argparse.ArgumentParser(description="Remember and recall with NEXUS.")
    commands = parser.add_subparsers(dest="command", required=True)
    remember = commands.add_parser("remember", help="store a text")
    remember.add_argument("content")
    remember.add_argument("--tag", action="append", default=[])
    recall = commands.add_parser("recall", help="search by meaning and by words")
    recall.add_argument("query")
    recall.add_argument("--limit", type=int, default=5)
    recent = commands.add_parser("recent", help="what was stored last")
    recent.add_argument("--limit", type=int, default=5)
    commands.add_parser("forget", help="remove one for good").add_argument("episode_id")
    asked = parser.parse_args()
    nexus = Nexus.from_environment()
    try:
        if asked.command == "remember":
            print(nexus.remember(asked.content, asked.tag))
        elif asked.command == "forget":
            nexus.forget(asked.episode_id)
            print("forgotten")
        else:
            found = nexus.recall(asked.query, asked.limit) if asked.command == "recall" else nexus.recent(asked.limit)
            for one in found:
                print(one["episode_id"], one["created_at"][:16], plain(one["content"])[:200])
    except Refused as refused:
        sys.exit(f"nexus: {plain(str(refused))}")
    except Stranger as cause:
        sys.exit(f"nexus: {nexus.url} is not NEXUS: {cause}. See who has the port: sudo nexus-setup --check")
    except OSError as cause:
        sys.exit(f"nexus: no answer from {nexus.url}: {cause}. Is it running? systemctl status nexus-api.socket")


if __name__ == "__main__":
    main()
