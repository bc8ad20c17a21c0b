"""A web server that keeps what is posted to it: webhook.py PORT FILE, one body a line. It tells systemd when it is ready."""

import os
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

port, file = int(sys.argv[1]), sys.argv[2]


class Keeper(BaseHTTPRequestHandler):
    """Answers 204 to every post, and adds its body to the file first."""

    def do_POST(self):  # noqa: N802 (the library's name)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(file, "ab") as kept:
            kept.write(body.replace(b"\n", b" ") + b"\n")
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        """Nothing: the URL is a secret."""


server = ThreadingHTTPServer(("127.0.0.1", port), Keeper)
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
    systemd.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
server.serve_forever()
