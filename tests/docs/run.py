"""Runs the command blocks of pages in their order, as a person would type them: run.py ROOT PAGE…

Runs in a machine where NEXUS is installed; a page that installs it needs a machine without it. The working directory is ROOT. Counts
blocks that do not run as written, and prints those that do not run with their reason.
"""

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from blocks import blocks_of

# Seconds. The slowest block installs NEXUS or restores a set.
PATIENCE = 600
# A refused API call is an error, and a search in a page must find what the page has stored.
STRICT = 'curl() { command curl --fail-with-body --show-error "$@"; }\n'
FOUND_NOTHING = re.compile(r'"count":\s*0\b')
ENVIRONMENT = os.environ | {"SYSTEMD_PAGER": "", "PAGER": "cat", "MANPAGER": "cat", "COLUMNS": "120", "LC_ALL": "C.UTF-8"}


def bash(text, root, typed):
    """Returns exit code and output. Only a command with typed words gets a terminal."""
    command = ["bash", "-euo", "pipefail", "-c", text]
    if not typed:
        done = subprocess.run(
            command, cwd=root, env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            timeout=PATIENCE, text=True, errors="replace", check=False,
        )
        return done.returncode, done.stdout
    return at_a_terminal(command, root, [bash(f"echo {word}", root, [])[1].strip().replace("^D", "\n\x04") for word in typed])


# The ends of prompts. Words typed earlier may be lost: sudo and docker flush the terminal's input.
PROMPTS = (b": ", b"# ", b"=> ")
# After so many seconds without any output, the program waits for input without a prompt.
SILENCE = 3


def at_a_terminal(command, root, words):
    """Like bash(), but types the words, one at each prompt."""
    master, slave = pty.openpty()
    said = b""
    with subprocess.Popen(command, cwd=root, env=ENVIRONMENT, stdin=slave, stdout=slave, stderr=slave, start_new_session=True) as process:
        os.close(slave)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            ready = select.select([master], [], [], SILENCE)[0]
            if ready:
                try:
                    said += os.read(master, 4096)
                except OSError:
                    # No process has the terminal open any more.
                    break
            if words and (said.endswith(PROMPTS) or not (ready or said)):
                os.write(master, f"{words.pop(0)}\n".encode())
        else:
            process.kill()
        code = process.wait()
    os.close(master)
    return code, said.decode(errors="replace")


def prepared(block, root):
    """Runs the block's first commands, and returns its text with the replacements."""
    for command in block.said("first"):
        code, said = bash(command, root, [])
        if code:
            raise RuntimeError(f"the command before it, {command}, exited with {code}: {said[-500:]}")
    text = block.text
    for pair in block.said("with"):
        old, new = pair.split(" => ", 1)
        if old not in text:
            raise RuntimeError(f"there is no '{old}' in it to replace")
        code, value = bash(f"echo {new}", root, [])
        if code or not value.strip():
            raise RuntimeError(f"{new} printed no replacement for {old}")
        text = text.replace(old, value.strip())
    return text


def run(block, root):
    """Returns None if the block behaved as expected, else the reason."""
    try:
        code, said = bash(STRICT + prepared(block, root), root, block.said("types"))
    except (RuntimeError, subprocess.TimeoutExpired) as why:
        return str(why)
    if "curl" in block.text and FOUND_NOTHING.search(said):
        return f"a search found nothing: {said[-1500:].strip()}"
    wanted = (block.said("exits") or ["0"])[0]
    return None if str(code) in wanted.split() else f"it exited with {code}, expected {wanted}: {said[-1500:].strip()}"


def main(root, pages):
    counts, exceptions = Counter(), Counter()
    for page in pages:
        for block in blocks_of(root / page, root):
            exceptions.update(what for what, _, _ in block.notes)
            if block.is_sample:
                exceptions["a sample of text"] += 1
            elif block.said("not here"):
                print(f"not run {block.name}: {block.reason('not here')}")
            elif why := run(block, root):
                counts["failed"] += 1
                print(f"FAILED {block.name}: {why}")
            else:
                counts["passed"] += 1
                print(f"ok {block.name}")
            sys.stdout.flush()
    print("exceptions:", ", ".join(f"{count} {what}" for what, count in sorted(exceptions.items())) or "none")
    print(f"{counts['passed']} passed, {counts['failed']} failed")
    return 0 if counts["passed"] and not counts["failed"] else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve(), sys.argv[2:]))
