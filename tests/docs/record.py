"""Records the first hour of an owner as a picture of a terminal: record.py MACHINE FILE.svg

MACHINE is a throwaway machine (tests/host/machine) with this clone in /root/nexus and without NEXUS. `record.py --check FILE.svg`
checks that a recorded picture has the commands of this file. Long output is cut, which the picture shows as "…".
"""

import re
import subprocess
import sys
import textwrap
from html import escape, unescape
from pathlib import Path

COLUMNS = 110
# A command as the picture shows it, the one that runs, and how many of its last lines are shown.
STEPS = [
    ("sudo ./install.sh", "./install.sh --bin-dir bin --yes --model none --owner-identity /root/key 2>&1", 14),
    (note := """curl -s 127.0.0.1:8003/memory/action --json '{"action_type": "note", "action_details": {"content": "The spare key is with Ana"}}'""", note, 8),
    (find := """curl -s 127.0.0.1:8003/memory/search --json '{"query": "spare key"}'""", find, 8),
    (backup := "sudo systemctl start nexus-backup", backup, 3),
    (log := "journalctl -o cat -n 2 -t nexus-backup", log, 2),
    (sets := "sudo nexus-restore list", sets, 6),
    (proof := "sudo systemctl start nexus-restore-test", proof, 3),
    (log := "journalctl -o cat -n 3 -t nexus-restore-test", log, 3),
    (timers := "systemctl list-timers 'nexus-*'", f"{timers} | cut -c1-{COLUMNS}", 16),
    (status := "systemctl status nexus-health", f"{status} | head -n 8 | cut -c1-{COLUMNS}", 8),
]
# Not every viewer keeps several spaces.
NO_BREAK = "\N{NO-BREAK SPACE}"
STYLE = "text{font:13px ui-monospace,Menlo,Consolas,monospace;fill:#d8dee9}.c{fill:#a3be8c;font-weight:bold}"


def said(machine, command):
    """Returns the output of `command`, which must succeed."""
    shell = ["bash", "-euo", "pipefail", "-c", f"cd /root/nexus && export COLUMNS={COLUMNS} SYSTEMD_PAGER= LC_ALL=C.UTF-8; {command}"]
    done = subprocess.run(["tests/host/machine", "exec", machine, "--", *shell], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"record.py: {command} exited with {done.returncode}: {done.stdout}{done.stderr}")
    return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout).rstrip("\n").splitlines()


def wrapped(line):
    return textwrap.wrap(line, COLUMNS, subsequent_indent="  ", break_on_hyphens=False, drop_whitespace=False) or [""]


def record(machine):
    """Yields pairs: whether the line is a command, and the line."""
    for shown, command, count in STEPS:
        lines = said(machine, command)
        yield True, f"$ {shown}"
        if len(lines) > count:
            yield False, "…"
        yield from ((False, part) for line in lines[-count:] for part in wrapped(line))
        yield False, ""


def svg(lines):
    rows = [
        f'<text x="12" y="{24 + 18 * row}"{" class=" + chr(34) + "c" + chr(34) if is_command else ""}>{escape(line).replace(" ", NO_BREAK)}</text>'
        for row, (is_command, line) in enumerate(lines)
    ]
    width, height = 24 + 8 * max(COLUMNS, *(len(line) for _, line in lines)), 24 + 18 * len(rows)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" aria-label="A terminal: the first hour with NEXUS">'
    return "\n".join([head, f"<style>{STYLE}</style>", '<rect width="100%" height="100%" rx="6" fill="#20242c"/>', *rows, "</svg>", ""])


def check(path):
    recorded = [unescape(line).replace(NO_BREAK, " ") for line in re.findall(r'class="c">\$\s(.*)</text>', path.read_text())]
    is_current = recorded == [shown for shown, _, _ in STEPS]
    print(f"{'ok' if is_current else 'FAILED'} {path} has the commands of record.py")
    print(f"{int(is_current)} passed, {int(not is_current)} failed")
    return 0 if is_current else 1


if __name__ == "__main__":
    if sys.argv[1] == "--check":
        sys.exit(check(Path(sys.argv[2])))
    Path(sys.argv[2]).write_text(svg(list(record(sys.argv[1]))))
