#!/usr/bin/env python3
"""A client of NEXUS that needs only Python's standard library. Copy it, import it, or use it from the shell:

    nexus_client.py remember "The spare key is with Marta" --tag home
    nexus_client.py recall "who has the key?"
    nexus_client.py recent
    nexus_client.py forget EPISODE_ID

It reads NEXUS_URL (http://127.0.0.1:8003), NEXUS_AGENT (nexus) and NEXUS_TOKEN_FILE (a file with the bearer token, if the API
requires one) from the environment. For the default URL it uses the socket /run/nexus/api.sock instead, if it may.
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
    """The API refused the request. `code` is for programs, the text for people; `again` means that an earlier attempt had no
    reply."""

    def __init__(self, status, details, again=False):
        field = f" (field {details['field']})" if details.get("field") else ""
        super().__init__(f"{details.get('message', 'no reason was given')}{field}")
        self.status, self.code, self.again = status, details.get("code", ""), again


class NotNexus(Exception):
    """Another program than NEXUS replied."""


# Root and the group nexus may use this socket. Only root can create it.
SOCKET = "/run/nexus/api.sock"
# Names the account of nexus-api where NEXUS_USER has changed it. Only root can write it.
ACCOUNT = "/etc/systemd/system/nexus-api.service.d/10-nexus-user.conf"
HERE = "http://127.0.0.1:8003"


class Connection(http.client.HTTPConnection):
    """A plain HTTP connection that sends nothing to another user's program. It uses the Unix socket if this user may open it,
    otherwise TCP. Any program can take a free port, so over TCP it finds out who accepted the connection before it sends a byte."""

    def connect(self):
        if f"http://{self.host}:{self.port}" == HERE and os.access(SOCKET, os.W_OK):
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(self.timeout)
            self.sock.connect(SOCKET)
            return
        super().connect()
        end = time.monotonic() + self.timeout
        while (user := peer_user(self.sock)) is None:
            if time.monotonic() > end:
                raise TimeoutError("no program has accepted the connection")
            time.sleep(0.01)
        if user not in trusted_users():
            raise NotNexus(f"port {self.port} belongs to another user's program (user number {user})")


def peer_user(sock):
    """The user of the program that accepted this connection, or None if none has yet. If the peer is on another machine, or this
    system cannot run NEXUS, this user.

    The kernel's list of connections has a line for each local end of a connection (proc_pid_net(5)). In the peer's line our remote
    address is the local one, and the reverse; no two connections share both. Its user is that of the process when it called
    accept(2), and only root can change it, so no other user's program can have a line of root. Before accept(2), and after the end,
    the line has no inode (number 0), and before Linux 6.17 its user is 0 for any connection. Such a kernel reads first the user, then
    the inode, and the program may accept in between: only a second line is then sure to be root's.
    """
    user = listed_user(sock)
    return listed_user(sock) if user == 0 else user


def listed_user(sock):
    """The user in the kernel's list, see peer_user."""
    ends = [(ipaddress.ip_address(name[0]), name[1]) for name in (sock.getpeername(), sock.getsockname())]
    if sys.platform != "linux" or not ends[0][0].is_loopback and ends[0][0] != ends[1][0]:
        return os.getuid()
    for family in filter(os.path.exists, ("/proc/net/tcp", "/proc/net/tcp6")):
        with open(family, encoding="ascii") as file:
            for line in file.readlines()[1:]:
                fields = line.split()
                if [parse_endpoint(field) for field in fields[1:3]] == ends and fields[9] != "0":
                    return int(fields[7])
    return None


def parse_endpoint(field):
    """Parses a field such as 0100007F:1F43 into address and port. The address is in words of this machine's byte order."""
    words, port = field.split(":")
    address = ipaddress.ip_address(b"".join(int(words[i:i + 8], 16).to_bytes(4, sys.byteorder) for i in range(0, len(words), 8)))
    return getattr(address, "ipv4_mapped", None) or address, int(port, 16)


def trusted_users():
    """Root, NEXUS, and this user, who may run a tunnel."""
    account = "nexus-api"
    if os.path.exists(ACCOUNT):
        with open(ACCOUNT, encoding="ascii") as file:
            account = next(line[len("User="):].strip() for line in file if line.startswith("User="))
    try:
        return {0, os.getuid(), pwd.getpwnam(account).pw_uid}
    except KeyError:
        return {0, os.getuid()}


class PlainHandler(urllib.request.HTTPHandler):
    """Opens http:// with Connection."""

    def http_open(self, request):
        return self.do_open(Connection, request)


class Nexus:
    """The memory of one agent.

    Retries a request for `patience` seconds if the connection fails or the API is busy. An insert carries a key, so a retry does not
    store it twice.
    """

    def __init__(self, url=HERE, agent="nexus", token=None, patience=30):
        self.url, self.agent, self.token, self.patience = url.rstrip("/"), agent, token, patience
        # For another machine, the certificate identifies the server. Plain HTTP is for this machine: no proxy from the environment
        # may see it.
        local = [PlainHandler, urllib.request.ProxyHandler({})] if self.url.startswith("http:") else []
        self.opener = urllib.request.build_opener(*local)

    @classmethod
    def from_environment(cls):
        """Creates a client from NEXUS_URL, NEXUS_AGENT and NEXUS_TOKEN_FILE."""
        token = None
        if os.environ.get("NEXUS_TOKEN_FILE"):
            with open(os.environ["NEXUS_TOKEN_FILE"], encoding="ascii") as file:
                token = file.read().strip()
        return cls(os.environ.get("NEXUS_URL", HERE), os.environ.get("NEXUS_AGENT", "nexus"), token)

    def remember(self, content, tags=(), kind="note", importance=0.5):
        """Stores a text and returns its id. Then the text is on disk."""
        body = {"action_type": kind, "action_details": {"content": content, "importance_score": importance}, "tags": list(tags)}
        return self.request("POST", "/memory/action", body, {"Idempotency-Key": str(uuid.uuid4())})["episode_id"]

    def recall(self, query, limit=10, min_similarity=0.3, **filters):
        """Searches by meaning and by words, best first. Filters: mode, tags, type, since, until."""
        body = {"query": query, "limit": limit, "min_similarity": min_similarity, **filters}
        return self.request("POST", "/memory/search", body)["results"]

    def recent(self, limit=10):
        """Returns the latest episodes, newest first."""
        return self.request("GET", f"/memory/episodic/recent?limit={int(limit)}")["episodes"]

    def forget(self, episode_id):
        """Forgets an episode for good: a later restore of a backup does not bring it back."""
        try:
            self.request("DELETE", f"/memory/episode/{urllib.parse.quote(episode_id, safe='')}")
        except Refused as refused:
            # A retry that gets 404: the first attempt succeeded, but its reply was lost.
            if not (refused.status == 404 and refused.again):
                raise

    def request(self, method, path, body=None, headers=None):
        """Makes one call and returns the JSON of the reply. Raises Refused, NotNexus, or OSError if no reply came in time."""
        headers = {"X-Nexus-Agent": self.agent, "Content-Type": "application/json", **(headers or {})}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        data = None if body is None else json.dumps(body).encode()
        # Every call can be repeated: an insert has its key, and the others change nothing the second time.
        end, again = time.monotonic() + self.patience, False
        while True:
            try:
                request = urllib.request.Request(self.url + path, data, headers, method=method)
                with self.opener.open(request, timeout=30) as reply:
                    return parse_reply(reply)
            except urllib.error.HTTPError as error:
                wait = int(error.headers.get("Retry-After", "1"))
                # Not for an hour: the limit of forgotten episodes lasts so long.
                if error.code not in (429, 502, 503, 504) or time.monotonic() + wait > end:
                    details = parse_error(error.read())
                    raise (Refused(error.code, details, again) if details else NotNexus(f"HTTP {error.code}, but not from NEXUS")) from None
            except OSError:
                if time.monotonic() > end:
                    raise
                wait, again = 0.5, True
            time.sleep(wait)


def parse_reply(reply):
    """The JSON of a reply."""
    try:
        return json.load(reply)
    except ValueError:
        raise NotNexus(f"HTTP {reply.status}, but not from NEXUS") from None


def parse_error(body):
    """The JSON object of an error, or an empty one: another program may have replied."""
    try:
        details = json.loads(body)
    except ValueError:
        details = None
    return details if isinstance(details, dict) else {}


def plain(text):
    """The text in one line, without characters that control a terminal or reorder text. Keeps joiners of words and emoji."""
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
    recent = commands.add_parser("recent", help="list the latest episodes")
    recent.add_argument("--limit", type=int, default=5)
    commands.add_parser("forget", help="forget an episode for good").add_argument("episode_id")
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
    except NotNexus as cause:
        sys.exit(f"nexus: {nexus.url} is not NEXUS: {cause}. See who has the port: sudo nexus-setup --check")
    except OSError as cause:
        sys.exit(f"nexus: no reply from {nexus.url}: {cause}. Is it running? systemctl status nexus-api.socket")


if __name__ == "__main__":
    main()
