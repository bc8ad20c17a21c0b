"""A proxy in front of PostgreSQL's socket that delays the first prepared query of each connection.

usage: slow.py SOCKET SERVER'S_SOCKET FILE     FILE contains the seconds, and is read for each query
"""

import os
import socket
import sys
import threading
import time

listened, server, delay = sys.argv[1:]


def pass_on(source, sink, before=lambda data: None):
    while data := source.recv(65536):
        before(data)
        sink.sendall(data)
    sink.shutdown(socket.SHUT_WR)


def serve(client):
    behind = socket.socket(socket.AF_UNIX)
    behind.connect(server)
    held = []

    def hold(data):
        # `P` is Parse (PostgreSQL manual, "Message Formats").
        if data[:1] == b"P" and not held:
            held.append(True)
            with open(delay, encoding="utf-8") as file:
                time.sleep(float(file.read()))

    threading.Thread(target=pass_on, args=(behind, client), daemon=True).start()
    pass_on(client, behind, hold)


door = socket.socket(socket.AF_UNIX)
door.bind(listened)
os.chmod(listened, 0o666)
door.listen()
while True:
    threading.Thread(target=serve, args=(door.accept()[0],), daemon=True).start()
