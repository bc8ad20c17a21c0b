"""A web server that stores each post, one JSON object a line: webhook.py PORT FILE [LONGEST]. Refuses more than LONGEST bytes with 413.
Notifies systemd when it is ready."""

import json
import os
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

port, file = int(sys.argv[1]), sys.argv[2]
longest = int(sys.argv[3]) if len(sys.argv) > 3 else None


class Keeper(BaseHTTPRequestHandler):
    """Stores every post, then answers 204. Stores a JSON body unchanged, else the end of the path, the headers and the text."""

    def do_POST(self):  # noqa: N802 (the library's name)
        length = int(self.headers["Content-Length"])
        body = self.rfile.read(length).decode()
        if longest is not None and length > longest:
            self.send_response(413)
            self.end_headers()
            return
        if self.headers["Content-Type"] != "application/json":
            # Only the end of the path, because the rest is a secret.
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = json.dumps({"path": self.path.rpartition("/")[2], "headers": headers, "text": body})
        with open(file, "a", encoding="utf-8") as kept:
            kept.write(body + "\n")
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        """Logs nothing, because the URL is a secret."""


server = ThreadingHTTPServer(("127.0.0.1", port), Keeper)
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
    systemd.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
server.serve_forever()
