"""Asks Docker over its socket: a request takes a millisecond, starting `docker` takes fifty."""

import http.client
import json
import socket
import urllib.parse

from world.machine import PATIENCE

# The label of nexus-restore-test's throwaway servers and their volumes.
SCRATCH = {"label": ["nexus.scratch"]}


class Socket(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect("/run/docker.sock")


def get(path, **query):
    """Returns the answer to a GET of the Engine API."""
    connection = Socket("docker")
    try:
        connection.request("GET", f"{path}?{urllib.parse.urlencode(query)}")
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != http.client.OK:
            raise AssertionError(f"Docker answers {path} with {answer.status} {content.decode(errors='replace')}")
        return json.loads(content)
    finally:
        connection.close()


def containers(filters=None):
    """Returns names and images of all containers, running or not."""
    found = get("/containers/json", all="true", filters=json.dumps(filters or {}))
    return {f"{' '.join(container['Names'])} {container['Image']}" for container in found}


def volumes(filters=None):
    return {volume["Name"] for volume in get("/volumes", filters=json.dumps(filters or {}))["Volumes"] or ()}


def scratch():
    """Returns the throwaway servers and their volumes."""
    return containers(SCRATCH) | volumes(SCRATCH)


def is_well(name):
    """Whether the container's own check reports it as healthy."""
    return get(f"/containers/{name}/json")["State"]["Health"]["Status"] == "healthy"
