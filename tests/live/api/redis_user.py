#!/usr/bin/env python3
"""Promise: nexus-api's Redis password permits only the commands that nexus-api needs, and these can neither stop Redis nor take more
memory than its container has."""

import re
import socket
import subprocess
import time
from contextlib import suppress

from client import expect

SOCKET = "/run/nexus/redis/redis.sock"
CREDENTIALS = "/etc/nexus/credentials"
# The commands of helpers/nexus-api/src/cache, and those that Redis permits every user.
NEEDED = {"del", "get", "hdel", "hgetall", "hset", "mget", "pexpire", "ping", "set"}
EVERYONES = {"auth", "hello", "quit", "reset"}
MIB = 1 << 20
MAXMEMORY = 128 * MIB
# The memory besides the keys, with NEXUS_REDIS_MEMORY as in install.d/setup/sizes.sh.
LEFT = MAXMEMORY + 64 * MIB


class Refused(Exception):
    """Redis's error."""


def packed(*words):
    """Encodes a command for Redis."""
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"".join([b"*%d\r\n" % len(words), *(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)])


class Connection:
    """A user's connection."""

    def __init__(self, user, credential):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(120)
        self.socket.connect(SOCKET)
        self.file = self.socket.makefile("rb")
        with open(f"{CREDENTIALS}/{credential}", encoding="ascii") as password:
            self("AUTH", user, password.read().strip())

    def __call__(self, *words):
        self.socket.sendall(packed(*words))
        return self.reply()

    def reply(self):
        """Returns the next reply; None for a null reply."""
        line = self.file.readline()
        kind, rest = line[:1], line[1:-2].decode()
        if kind in (b"+", b":"):
            return rest
        if kind == b"-":
            raise Refused(rest)
        expect(kind in (b"$", b"*"), f"Redis said {line!r}")
        if kind == b"*":
            return [self.reply() for _ in range(int(rest))]
        return None if rest == "-1" else self.file.read(int(rest) + 2)[:-2].decode()


def of_api():
    """Returns a connection of nexus-api's user."""
    return Connection("nexus-api", "redis_api_password")


def of_owner():
    """Returns a connection of the user with all rights."""
    return Connection("default", "redis_password")


def commands(known):
    """Yields name and fewest words of each command in COMMAND's reply, with subcommands."""
    for name, arity, *_, within in known:
        # The name of a container command is no command itself.
        yield from commands(within) if within else [(name, abs(int(arity)))]


def allowed_commands(owner):
    """Returns the commands that nexus-api's user may send, and the number of all commands."""
    count, allowed = 0, set()
    for name, fewest in commands(owner("COMMAND")):
        words = name.split("|")
        # Permitted keys, so that only the command can be refused.
        said = owner("ACL", "DRYRUN", "nexus-api", *words, *["nexus-api:x"] * (fewest - len(words)))
        count += 1
        if "no permissions to run" not in said:
            allowed.add(name)
    return count, allowed


def peak(owner):
    """Returns the most memory that Redis has used since it started."""
    return int(re.search(r"used_memory_peak:(\d+)", owner("INFO", "memory"))[1])


def start_of_redis():
    """Returns when its container started."""
    return subprocess.run(["docker", "inspect", "--format", "{{.State.StartedAt}}", "nexus-redis"], check=True, capture_output=True, text=True).stdout


def restart():
    """Restarts Redis, and returns a connection once it answers."""
    subprocess.run(["docker", "restart", "nexus-redis"], check=True, capture_output=True)
    end = time.monotonic() + 60
    while True:
        try:
            owner = of_owner()
            owner("DBSIZE")
            return owner
        except (OSError, Refused):
            expect(time.monotonic() < end, "Redis does not answer")
            time.sleep(0.1)


def one_endless_reply():
    """Requests a value so often in one command that the reply exceeds Redis's container."""
    client = of_api()
    client("SET", "nexus-api:large", "x" * MIB, "EX", 600)
    client.socket.sendall(packed("MGET", *["nexus-api:large"] * 1000))
    return [client]


def sent(data):
    """Returns many connections that have sent this data, unless Redis has closed them before."""
    clients = [of_api() for _ in range(50)]
    for client in clients:
        with suppress(BrokenPipeError, ConnectionResetError):
            client.socket.sendall(data)
    return clients


def values_without_an_end():
    """Each value announces the largest default size, and Redis allocates memory for it."""
    return sent(b"*3\r\n$3\r\nSET\r\n$11\r\nnexus-api:x\r\n$%d\r\n" % (512 * MIB) + b"x" * MIB)


def arguments_without_an_end():
    """Short arguments, for which Redis counts the least memory."""
    return sent(b"*1000001\r\n$3\r\nDEL\r\n" + b"$1\r\nx\r\n" * 900_000)


def connections_left(owner, clients):
    """Returns how many are left once Redis has closed one, or after half a minute."""
    end = time.monotonic() + 30
    while (left := owner("CLIENT", "LIST").count("user=nexus-api")) == len(clients) and time.monotonic() < end:
        time.sleep(0.1)
    return left


def main():
    count, allowed = allowed_commands(of_owner())
    expect(count > 300 and allowed == NEEDED | EVERYONES, f"of {count} commands nexus-api's user may send {sorted(allowed)}")
    api = of_api()
    for words in (("EVAL", "while true do end", 0), ("EVALSHA", "0" * 40, 0), ("EVAL_RO", "return 1", 0), ("FCALL", "f", 0), ("FUNCTION", "LOAD", "x"), ("SCRIPT", "LOAD", "return 1"),
                  ("MULTI",), ("WATCH", "nexus-api:x"), ("BLPOP", "nexus-api:x", 0), ("WAIT", 1, 0), ("CLIENT", "PAUSE", 1000), ("CLIENT", "NO-EVICT", "on")):
        try:
            expect(False, f"nexus-api's user was answered {api(*words)} to {words}")
        except Refused as refused:
            expect(str(refused).startswith("NOPERM"), f"{words} was refused with {refused}")

    owner = restart()
    started = start_of_redis()
    try:
        owner("CONFIG", "SET", "maxmemory", MAXMEMORY)
        owner("SET", "of-another", "stays")
        before = peak(owner)
        for flood in one_endless_reply, values_without_an_end, arguments_without_an_end:
            clients = flood()
            left, used = connections_left(owner, clients), peak(owner) - before
            expect(used < LEFT, f"{flood.__name__}: Redis used {used / MIB:.0f} MiB more than before")
            expect(left < len(clients), f"{flood.__name__}: no connection was ended")
            print(f"{flood.__name__}: {used / MIB:.0f} MiB at most, {left} of {len(clients)} connections left")
            for client in clients:
                client.socket.close()
        expect(owner("GET", "of-another") == "stays", "another program's key is gone")
        expect(start_of_redis() == started, "Redis was started again")
    finally:
        # Restores the configured maxmemory, and removes the keys.
        owner = of_owner()
        owner("DEL", "of-another", "nexus-api:large")
        restart()
    print(f"of {count} commands {len(allowed)} may be sent")


if __name__ == "__main__":
    main()
