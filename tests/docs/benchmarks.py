#!/usr/bin/env python3
"""Writes docs/BENCHMARKS.md and its charts from the reports in docs/benchmarks (nexus-bench … --json).

usage: benchmarks.py [--check]

Replaces the text between a line `<!-- NAME.json -->` and the next `<!-- end -->` by that report. With --check it writes nothing,
and fails if the page or a chart differs from the reports.
"""

import itertools
import json
import pathlib
import re
import sys
from xml.sax.saxutils import escape

DOCS = pathlib.Path(__file__).resolve().parents[2] / "docs"
PAGE = DOCS / "BENCHMARKS.md"
REPORTS = DOCS / "benchmarks"

WIDTH, ROW, NAME, ROOM = 820, 26, 300, 90
OURS, OTHERS, LIMIT = "#2f6f9f", "#b9b9b9", "#7aa874"


# The reports with a chart, and its text for a screen reader.
CHARTS = {"backup.json": "seconds of each", "restore.json": "seconds of each", "api.json": "p95 of each"}


def number(value):
    """Formats a number with three significant digits, or all before the point."""
    places = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:.{places}f}"


def conditions(report):
    """Returns date, machine and versions, without details that identify the machine."""
    machine = report["machine"]
    memory = round(machine["memory"] / 2**30)
    versions = ", ".join(f"{name} {version}" for name, version in sorted(report["versions"].items()))
    settings = ", ".join(f"{name} {value}" for name, value in sorted(report["settings"].items()))
    return (f"{report['at'][:10]}; {machine['processors']} processors, {memory} GiB, load {machine['load_before']} before and "
            f"{machine['load_after']} after; {versions}; {settings}.")


def tables(report):
    def names(measure):
        return [figure["name"] for figure in measure["figures"]]

    for heads, measures in itertools.groupby(report["measures"], names):
        yield ""
        yield "| | " + " | ".join(heads) + " |"
        yield "|---|" + "---:|" * len(heads)
        for measure in measures:
            values = " | ".join(number(figure["value"]) for figure in measure["figures"])
            yield f"| {measure['name'].replace('|', chr(92) + '|')} | {values} |"


def section(name):
    path = REPORTS / name
    if not path.exists():
        return "\nNot measured yet.\n\n"
    report = json.loads(path.read_text(encoding="utf-8"))
    notes = "".join(f"\n- {note}" for note in report["notes"])
    drawn = f"\n![{CHARTS[name]}](benchmarks/{pathlib.Path(name).stem}.svg)\n" if name in CHARTS else ""
    return drawn + "\n" + conditions(report) + "\n" + "\n".join(tables(report)) + "\n" + (notes + "\n" if notes else "") + "\n"


def page(text):
    return re.sub(r"(<!-- ([a-z0-9-]+\.json) -->\n).*?(<!-- end -->)", lambda m: m[1] + section(m[2]) + m[3], text, flags=re.DOTALL)


def chart(title, rows):
    """Draws horizontal bars of rows (name, value, unit, colour)."""
    most = max(value for _, value, _, _ in rows) or 1
    height = 44 + ROW * len(rows)
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">',
             f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
             f'<text x="12" y="24" font-size="15" font-weight="bold" fill="#222222">{escape(title)}</text>']
    for place, (name, value, unit, colour) in enumerate(rows):
        top = 38 + ROW * place
        length = max(1.0, (WIDTH - NAME - ROOM) * value / most)
        lines += [f'<text x="{NAME - 8}" y="{top + 15}" text-anchor="end" fill="#222222">{escape(name)}</text>',
                  f'<rect x="{NAME}" y="{top + 2}" width="{length:.1f}" height="{ROW - 8}" fill="{colour}"/>',
                  f'<text x="{NAME + length + 6:.1f}" y="{top + 15}" fill="#222222">{number(value)} {unit}</text>']
    return "\n".join([*lines, "</svg>", ""])


def values(report, figure):
    for measure in report["measures"]:
        for found in measure["figures"]:
            if found["name"] == figure:
                yield measure["name"], found["value"]


def charts():
    """Yields file name and content of each chart that has a report."""
    def load(name):
        path = REPORTS / f"{name}.json"
        return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None

    def colour(name):
        return LIMIT if name.startswith("the limit") else OURS if name.startswith("nexus") else OTHERS

    if report := load("backup"):
        rows = [(name, value, "s", colour(name)) for name, value in values(report, "s") if not name.startswith(("stage", "…"))]
        yield "backup.svg", chart(f"A backup of {report['settings']['episodes']} episodes: seconds, less is better", rows)
    if report := load("restore"):
        rows = []
        for (name, first), (_, complete) in zip(values(report, "first answer s"), values(report, "complete s")):
            rows.append((f"{name}: first answer", first, "s", colour(name)))
            rows.append((f"{name}: complete", complete, "s", colour(name)))
        yield "restore.svg", chart(f"A restore of {report['settings']['episodes']} episodes: seconds, less is better", rows)
    if report := load("api"):
        rows = [(name, value, "ms", OURS if "at its times" in name else OTHERS) for name, value in values(report, "p95 ms")
                if "at its times" in name or "during" in name]
        yield "api.svg", chart(f"HTTP with {report['settings']['episodes']} episodes: p95 in ms, less is better", rows)


def main():
    files = {PAGE: page(PAGE.read_text(encoding="utf-8"))}
    files |= {REPORTS / name: text for name, text in charts()}
    stale = [path for path, text in files.items() if not path.exists() or path.read_text(encoding="utf-8") != text]
    if "--check" in sys.argv[1:]:
        for path in stale:
            print(f"{path.relative_to(DOCS.parent)} differs from the reports: run tests/docs/benchmarks.py", file=sys.stderr)
        sys.exit(bool(stale))
    for path in stale:
        path.write_text(files[path], encoding="utf-8")
        print(path.relative_to(DOCS.parent))


main()
