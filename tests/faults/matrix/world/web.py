"""The owner's web server, which accepts or refuses alerts."""

import collections
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """Does not report a killed sender, because the cases kill it."""

    daemon_threads = True

    def handle_error(self, request, client_address):
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class Web:
    """Stores the accepted alerts. `mode`: `well`, `500`, `hangs` (until the mode changes), `hangs-up`."""

    def __init__(self):
        self.confirmed, self.mode, self.released = [], "well", threading.Event()
        self.lock = threading.Lock()
        web = self

        class Keeper(BaseHTTPRequestHandler):
            def do_POST(self):  # noqa: N802 (the library's name)
                length = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(length)
                if body and len(body) == length:
                    web.post(self, json.loads(body))
                else:
                    # The sender was killed in the middle of it.
                    self.close_connection = True

            def log_message(self, *_):
                """Logs nothing."""

        self.server = Server(("127.0.0.1", 0), Keeper)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def post(self, request, alert):
        mode = self.mode
        if mode == "hangs":
            self.released.wait()
        if mode in ("hangs", "hangs-up"):
            request.close_connection = True
            return
        if mode == "well":
            with self.lock:
                self.confirmed.append(alert)
        request.send_response(204 if mode == "well" else int(mode))
        request.end_headers()

    def set(self, mode):
        self.mode = mode
        if mode != "hangs":
            self.released.set()
            self.released = threading.Event()

    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}/hook"

    def told(self):
        """Returns the names of the received messages of each problem, with repetitions."""
        told = collections.defaultdict(list)
        with self.lock:
            for alert in self.confirmed:
                told[alert["problem"]].append(alert["id"])
        return told

    def forget(self):
        with self.lock:
            self.confirmed.clear()

    def close(self):
        self.set("well")
        self.server.shutdown()
        self.server.server_close()
