"""Poses as PostgreSQL, and answers every client with one error, whose text is the second argument."""

import socket
import struct
import sys

path, text = sys.argv[1:]
server = socket.socket(socket.AF_UNIX)
server.bind(path)
server.listen()
fields = b"SFATAL\0VFATAL\0C58000\0M" + text.encode() + b"\0H" + text.encode() + b"\0\0"
while True:
    asker, _ = server.accept()
    with asker:
        asker.recv(4096)
        try:
            asker.sendall(b"E" + struct.pack("!I", len(fields) + 4) + fields)
        except BrokenPipeError:
            pass
