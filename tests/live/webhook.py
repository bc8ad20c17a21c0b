"""A web server that keeps what is posted to it: webhook.py PORT FILE [LONGEST], one JSON object a line. What has
more than LONGEST bytes it refuses with 413. It tells systemd when it is ready."""

import json
import os
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

port, file = int(sys.argv[1]), sys.argv[2]
longest = int(sys.argv[3]) if len(sys.argv) > 3 else None


class Keeper(BaseHTTPRequestHandler):
    """Answers 204 to every post, and keeps it first: a JSON body as it is, else the end of the path, the headers and the text."""

    def do_POST(self):  # noqa: N802 (the library's name)
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length).decode()
        if longest is not None and length > longest:
            self.send_response(413)
            self.end_headers()
            return
        if self.headers["Content-Type"] != "application/json":
            # Not the whole path: the rest of it is a secret.
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = json.dumps({"path": self.path.rpartition("/")[2], "headers": headers, "text": body})
        with open(file, "a", encoding="utf-8") as kept:
            kept.write(body + "\n")
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        """Nothing: the URL is a secret."""


server = ThreadingHTTPServer(("127.0.0.1", port), Keeper)
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
    systemd.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
server.serve_forever()
