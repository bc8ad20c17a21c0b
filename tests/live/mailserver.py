"""A mail server that stores each mail as a file: mailserver.py PORT DIRECTORY. Notifies systemd when it is ready."""

import os
import socket
import socketserver
import sys
import tempfile

port, directory = int(sys.argv[1]), sys.argv[2]


class Session(socketserver.StreamRequestHandler):
    """Accepts everything (RFC 5321), and stores a mail before it confirms it."""

    def handle(self):
        self.say("220 ready")
        for line in self.rfile:
            command = line.split()[0].upper()
            if command == b"DATA":
                self.say("354 go on")
                self.keep()
            self.say("221 bye" if command == b"QUIT" else "250 yes")

    def keep(self):
        lines = iter(self.rfile.readline, b".\r\n")
        with tempfile.NamedTemporaryFile(dir=directory, prefix="smtp.", delete=False) as mail:
            mail.writelines(line.replace(b"\r\n", b"\n") for line in lines)

    def say(self, what):
        self.wfile.write(f"{what}\r\n".encode())


class Server(socketserver.ThreadingTCPServer):
    """A server that can restart at once."""

    allow_reuse_address = True


server = Server(("127.0.0.1", port), Session)
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
    systemd.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
server.serve_forever()
