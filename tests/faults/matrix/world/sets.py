"""Reads sets with stock tools: sha256, age and zstd. Uses none of NEXUS's own code to judge them."""

import hashlib
import os
import re
import subprocess

from world.machine import run
from world.wrong import FalseSuccess

OWNER = os.environ.get("NEXUS_TEST_OWNER", "/root/owner-of-the-test.txt")
SUMS = "SHA256SUMS"
NAME = re.compile(r"\d{6,}-\d{8}T\d{6}Z")
# Lines of roles.sql that vary: `\restrict` has a new key each time, and roles of strangers and timeouts come and go.
PASSING = re.compile(rb"restrict |stranger_|ALTER ROLE .* SET \w+_timeout TO ")


def names(directory):
    """Returns the names of the complete sets, oldest first."""
    return sorted((n for n in os.listdir(directory) if NAME.fullmatch(n)), key=lambda n: int(n.split("-")[0]))


def files(path):
    """Returns the paths of a set's files, relative to it."""
    found = []
    for folder, _, inside in os.walk(path):
        found += [os.path.relpath(os.path.join(folder, name), path) for name in inside]
    return sorted(found)


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(path):
    """Returns one digest of all files of a set, with their names."""
    whole = hashlib.sha256()
    for name in files(path):
        whole.update(f"{name}\0{sha256(os.path.join(path, name))}\n".encode())
    return whole.hexdigest()


def sums(path):
    """Returns SHA256SUMS as a dictionary."""
    with open(os.path.join(path, SUMS), encoding="ascii") as file:
        return {line.rstrip("\n")[66:]: line[:64] for line in file}


def write_sums(path):
    """Rewrites SHA256SUMS for the present files."""
    lines = [f"{sha256(os.path.join(path, name))}  {name}\n" for name in files(path) if name != SUMS]
    with open(os.path.join(path, SUMS), "w", encoding="ascii") as file:
        file.writelines(lines)


def require_whole(path):
    """Raises unless the files are exactly those of SHA256SUMS, with these digests."""
    try:
        listed = sums(path)
        there = {name: sha256(os.path.join(path, name)) for name in files(path) if name != SUMS}
    except OSError as error:
        raise FalseSuccess(f"set {path} has its final name, but cannot be read: {error}") from error
    if listed != there or not listed:
        differing = {name for name in listed.keys() | there.keys() if listed.get(name) != there.get(name)}
        raise FalseSuccess(f"set {path} has its final name, but is incomplete: {differing or 'it is empty'}")


def plain(path, identity=OWNER):
    """Returns the plain content of an encrypted file."""
    words = f'age -d -i "$1" "$2" {"| zstd -dcq" if path.endswith(".zst.age") else ""}'
    done = subprocess.run(["bash", "-o", "pipefail", "-c", words, "plain", identity, path], capture_output=True)
    if done.returncode != 0:
        raise FalseSuccess(f"{path} cannot be decrypted: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def seal(path, content, recipients="/etc/nexus/recipients.txt"):
    """Writes an encrypted file like those of a set."""
    words = f'{"zstd -cq |" if path.endswith(".zst.age") else ""} age -R "$1"'
    done = subprocess.run(["bash", "-o", "pipefail", "-c", words, "seal", recipients], input=content, capture_output=True, check=True)
    with open(path, "wb") as file:
        file.write(done.stdout)


def contents(path):
    """Returns what is the same in each set of one database: digests of the rows and the roles, and the length of pg_dump's archive,
    whose content includes the time."""
    found = {}
    for name in files(path):
        if name.startswith("data/"):
            found[name] = hashlib.sha256(plain(os.path.join(path, name))).hexdigest()
        elif name.startswith("roles"):
            found[name] = [line for line in plain(os.path.join(path, name)).splitlines() if not PASSING.search(line)]
        elif name.startswith("database"):
            archive = plain(os.path.join(path, name))
            found[name] = (archive[:5], len(archive))
    found["files"] = [name for name in files(path)]
    return found


def copy(source, target):
    """Copies a set to another name; quicker than copying its files one by one."""
    run("cp", "--archive", "--no-target-directory", source, target)
