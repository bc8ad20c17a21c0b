#!/usr/bin/env python3
"""Promise: what the documents tell a person to type works as it stands. usage: documented.py FILE…

Commands are the lines of fenced blocks marked sh, bash or console, and indented lines that begin with curl. Those of one file run in one
shell, in their order. A curl whose answer is no success fails, and so does a search that finds nothing.
"""

import os
import pathlib
import re
import shlex
import subprocess
import sys
import tempfile

from client import expect

# As typed, but that an answer which is no success is an error, and nothing asks back. nexus-health ends with 1 or 2 where it has
# found something: what this machine is busy with is no matter.
BEFORE = """set -euo pipefail
curl() { command curl --fail-with-body --show-error "$@"; }
sudo() { "$@"; }
nexus-health() { command nexus-health "$@" || (($? <= 2)); }
"""
NOTHING = re.compile(r'"count":\s*0\b')


def commands(text):
    """Each command, with its continuation lines."""
    lines, block = [], None
    for line in text.splitlines():
        if line.startswith("```"):
            block = line[3:].strip() if block is None else None
        elif block in ("sh", "bash", "console"):
            lines.append(line.removeprefix("$ "))
        elif block is None and re.match(r"(    |\t)(\$ )?curl ", line):
            lines.append(line.strip().removeprefix("$ "))
    command = ""
    for line in lines:
        command += line
        # Whole, when bash finds it so.
        if not line.endswith("\\") and subprocess.run(["bash", "-n", "-c", command], capture_output=True, check=False).returncode == 0:
            if command.strip() and not command.lstrip().startswith("#"):
                yield command
            command = ""
        else:
            command += "\n"
    expect(not command.strip(), f"this command has no end: {command}")


def main():
    for name in sys.argv[1:]:
        said = list(commands(pathlib.Path(name).read_text(encoding="utf-8")))
        expect(sum("curl" in one for one in said) > 1, f"{name} has only {len(said)} commands")
        script = BEFORE + "".join(f"printf '%s\\n' {shlex.quote('@@' + one)}\n{one}\n" for one in said)
        with tempfile.TemporaryDirectory() as here:
            done = subprocess.run(["bash", "-c", script], cwd=here, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                                  env={**os.environ, "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"})
        expect(done.returncode == 0, f"{name}: the last command of these failed with {done.returncode}: {done.stdout[-800:]}")
        for answer in done.stdout.split("@@")[1:]:
            expect(not NOTHING.search(answer), f"{name}: this finds nothing: {answer[:500]}")
        print(f"{name}: {len(said)} commands work")


if __name__ == "__main__":
    main()
