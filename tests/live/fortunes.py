#!/usr/bin/env python3
"""Turns Debian's fortunes, English and Spanish, into episodes for a trial. usage: fortunes.py store NUMBER | rest NUMBER

store: stores NUMBER of them, evenly chosen, through the API. rest: prints all others as CSV: content, language, file.
"""

import csv
import http.client
import json
import pathlib
import socket
import sys
import time

TEXTS = pathlib.Path("/usr/share/games/fortunes")
# Small enough that the API's time limit for nexus-embed suffices for its vectors.
PORTION = 20


def fortunes():
    """Yields (text, language, file), always in the same order; those below es/ are Spanish. Lines of % separate the texts of a file."""
    for file in sorted(one for one in TEXTS.rglob("*") if one.is_file() and one.suffix not in (".dat", ".u8") and "off" not in one.parts):
        language = "es" if "es" in file.relative_to(TEXTS).parts else "en"
        for text in file.read_text(encoding="utf-8", errors="replace").split("\n%\n"):
            text = text.strip("\n").removesuffix("\n%").replace("\0", "")
            if text and text != "%":
                yield text, language, file.stem


def split(number):
    """Returns those for the API, and the rest."""
    everything = list(fortunes())
    every = max(1, len(everything) // number)
    return everything[::every][:number], [one for place, one in enumerate(everything) if place % every or place // every >= number]


def action(text, language, file):
    """Returns one action of a batch."""
    return {"action_type": "fortune", "action_details": {"content": text, "file": file}, "tags": [language, file]}


def store(chosen):
    """Stores them in portions, and prints its progress."""
    connection = http.client.HTTPConnection("localhost", timeout=120)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect("/run/nexus/api.sock")
    began = time.monotonic()
    for first in range(0, len(chosen), PORTION):
        body = json.dumps({"actions": [action(*one) for one in chosen[first:first + PORTION]]})
        connection.request("POST", "/memory/batch", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            sys.exit(f"a batch was answered with {answer.status}: {said[:300]}")
        done = first + len(chosen[first:first + PORTION])
        if done == len(chosen) or done % 1000 == 0:
            print(f"{done:6} stored, {done / (time.monotonic() - began):.0f} a second", flush=True)


def main():
    what, number = sys.argv[1], int(sys.argv[2])
    chosen, rest = split(number)
    if what == "store":
        store(chosen)
    else:
        csv.writer(sys.stdout, lineterminator="\n").writerows(rest)


if __name__ == "__main__":
    main()
