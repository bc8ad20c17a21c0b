#!/usr/bin/env python3
"""A client of NEXUS in Python's standard library alone: to copy, to import, or to use from the shell.

    nexus_client.py remember "The spare key is with Marta" --tag home
    nexus_client.py recall "who has the key?"
    nexus_client.py recent
    nexus_client.py forget EPISODE_ID

NEXUS_URL (http://127.0.0.1:8003), NEXUS_AGENT (nexus) and NEXUS_TOKEN_FILE (a file with the bearer token, where the API wants one)
are read from the environment.
"""

import argparse
import json
import os
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


class Stranger(OSError):
    """Something answered that is not NEXUS."""


def is_local(url):
    """Whether `url` points to this machine."""
    host = urllib.parse.urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def require_own_listener(port):
    """Raises Stranger when a program of another user listens on this port of this machine (proc_pid_net(5)). Root is systemd,
    which listens for NEXUS; the own user may have a tunnel. A machine without these files does not run NEXUS."""
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(name, encoding="ascii") as file:
                lines = [line.split() for line in file.readlines()[1:]]
        except FileNotFoundError:
            continue
        for fields in lines:
            # Local address, state (0A: it listens), user.
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port and int(fields[7]) not in (0, os.getuid()):
                raise Stranger(f"port {port} belongs to another user's program (user number {fields[7]})")


class Nexus:
    """The memory of one agent.

    A request that is cut, or told to come back later, is tried again for `patience` seconds; an insert carries a key, so that
    trying again stores it once.
    """

    def __init__(self, url="http://127.0.0.1:8003", agent="nexus", token=None, patience=30):
        self.url, self.agent, self.token, self.patience = url.rstrip("/"), agent, token, patience
        # On another machine the certificate identifies the server.
        self.is_local = is_local(self.url)
        self.is_known = not self.is_local
        # A web proxy from the environment must not see requests that stay on this machine.
        self.opener = urllib.request.build_opener(*([urllib.request.ProxyHandler({})] if self.is_local else []))

    @classmethod
    def from_environment(cls):
        """As NEXUS_URL, NEXUS_AGENT and NEXUS_TOKEN_FILE say."""
        token = None
        if os.environ.get("NEXUS_TOKEN_FILE"):
            with open(os.environ["NEXUS_TOKEN_FILE"], encoding="ascii") as file:
                token = file.read().strip()
        return cls(os.environ.get("NEXUS_URL", "http://127.0.0.1:8003"), os.environ.get("NEXUS_AGENT", "nexus"), token)

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

    def meet(self):
        """Keeps texts and the token from another program that has NEXUS's port: checks who listens, and once that NEXUS answers."""
        if self.is_local:
            require_own_listener(urllib.parse.urlsplit(self.url).port or 80)
        if self.is_known:
            return
        with self.opener.open(self.url + "/", timeout=30) as answer:
            said = said_by_nexus(answer)
        if not isinstance(said, dict) or said.get("service") != "NEXUS API":
            raise Stranger("another program answers there")
        self.is_known = True

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
                self.meet()
                request = urllib.request.Request(self.url + path, data, headers, method=method)
                with self.opener.open(request, timeout=30) as answer:
                    return said_by_nexus(answer)
            except urllib.error.HTTPError as error:
                wait = int(error.headers.get("Retry-After", "1"))
                # Do not wait for the next hour, when more may be forgotten.
                if error.code not in (429, 502, 503, 504) or time.monotonic() + wait > end:
                    said = reason(error.read())
                    raise (Refused(error.code, said, again) if said else Stranger(f"HTTP {error.code}, but not from NEXUS")) from None
            except Stranger:
                raise
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
