"""A web server that keeps what is posted to it: webhook.py PORT FILE, one body a line."""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

port, file = int(sys.argv[1]), sys.argv[2]


class Keeper(BaseHTTPRequestHandler):
    """Answers 204 to everything; the bodies of posts are added to the file."""

    def do_GET(self):  # noqa: N802 (the library's name)
        self.send_response(204)
        self.end_headers()

    def do_POST(self):  # noqa: N802
        body = self.rfile.read(int(self.headers["Content-Length"]))
        with open(file, "ab") as kept:
            kept.write(body.replace(b"\n", b" ") + b"\n")
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        """Nothing: the URL is a secret."""


ThreadingHTTPServer(("127.0.0.1", port), Keeper).serve_forever()
