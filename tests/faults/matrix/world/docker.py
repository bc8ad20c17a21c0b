"""What Docker has, asked of its socket: a look is a millisecond, where starting `docker` takes fifty."""

import http.client
import json
import socket
import urllib.parse

from world.machine import PATIENCE

# What nexus-restore-test puts on its throwaway servers and their volumes.
SCRATCH = {"label": ["nexus.scratch"]}


class Socket(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect("/run/docker.sock")


def look(path, **query):
    """The answer to a GET of the Engine API."""
    connection = Socket("docker")
    try:
        connection.request("GET", f"{path}?{urllib.parse.urlencode(query)}")
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != http.client.OK:
            raise AssertionError(f"Docker says to {path}: {answer.status} {content.decode(errors='replace')}")
        return json.loads(content)
    finally:
        connection.close()


def containers(filters=None):
    """Names and images of all, also of those that do not run."""
    found = look("/containers/json", all="true", filters=json.dumps(filters or {}))
    return {f"{' '.join(container['Names'])} {container['Image']}" for container in found}


def volumes(filters=None):
    return {volume["Name"] for volume in look("/volumes", filters=json.dumps(filters or {}))["Volumes"] or ()}


def scratch():
    """Throwaway servers and their volumes."""
    return containers(SCRATCH) | volumes(SCRATCH)


def is_well(name):
    """Whether the container's own check says so."""
    return look(f"/containers/{name}/json")["State"]["Health"]["Status"] == "healthy"
