"""A client of nexus-purge's socket: sends standard input, prints the answer."""

import socket
import sys

asked = socket.socket(socket.AF_UNIX)
asked.connect("/run/nexus/purge.sock")
asked.sendall(sys.stdin.buffer.read())
answer = b""
while piece := asked.recv(4096):
    answer += piece
sys.stdout.buffer.write(answer)
