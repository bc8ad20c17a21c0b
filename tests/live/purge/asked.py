"""Asks nexus-purge over its socket as a program would: sends standard input, prints the answer."""

import socket
import sys

asked = socket.socket(socket.AF_UNIX)
asked.connect("/run/nexus/purge.sock")
asked.sendall(sys.stdin.buffer.read())
answer = b""
while piece := asked.recv(4096):
    answer += piece
sys.stdout.buffer.write(answer)
