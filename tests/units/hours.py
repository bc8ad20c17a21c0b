#!/usr/bin/env python3
"""Asks systemd when every calendar timer runs, in every time zone, from 2026 to 2037: no clock change may skip a run.

usage: hours.py UNITS-DIRECTORY
"""

import collections
import datetime
import os
import pathlib
import re
import subprocess
import sys
import zoneinfo

FIRST, LAST = datetime.datetime(2026, 1, 1), datetime.datetime(2037, 12, 31)
DAY, HOUR = datetime.timedelta(days=1), datetime.timedelta(hours=1)
# The longest step of a calendar itself. The first Sundays of two months are up to 35 days apart.
STEP = {"daily": DAY, "monthly": 35 * DAY}


def step(calendar):
    """Returns the name of a calendar's step; None if it runs every few minutes."""
    if re.fullmatch(r"\*-\*-\* \d\d:\d\d:\d\d", calendar):
        return "daily"
    if re.fullmatch(r"(\w+ )?\*-\*-\d\d(\.\.\d\d)? \d\d:\d\d:\d\d", calendar):
        return "monthly"
    if re.fullmatch(r"\*-\*-\* \*:\*:\d\d", calendar):
        return None
    sys.exit(f"hours.py: cannot tell how often OnCalendar={calendar} runs: add it to step()")


def kinds_of_zones():
    """Returns the zones grouped by their clock changes, and the largest change of each group."""
    kinds = collections.defaultdict(list)
    for name in sorted(zoneinfo.available_timezones()):
        zone = zoneinfo.ZoneInfo(name)
        offset = lambda at: at.astimezone(zone).utcoffset()
        at = FIRST.replace(tzinfo=datetime.timezone.utc)
        changes = [(at, offset(at))]
        while at.replace(tzinfo=None) <= LAST:
            if offset(at + DAY) != offset(at):
                hour = next(hour for hour in range(1, 25) if offset(at + hour * HOUR) == offset(at + DAY))
                changes.append((at + hour * HOUR, offset(at + DAY)))
            at += DAY
        kinds[tuple(changes)].append(name)
    # Most zones change by an hour, but Antarctica/Troll by two: one of its days has 26 hours.
    offsets = lambda changes: [offset for _, offset in changes]
    return [(names, max(offsets(changes)) - min(offsets(changes))) for changes, names in kinds.items()]


def runs(calendar, zone):
    """Returns every run of `calendar` in `zone`, in UTC, as systemd-analyze prints them."""
    days = (LAST - FIRST).days if step(calendar) == "daily" else 12 * 12
    command = ["systemd-analyze", "calendar", f"--base-time={FIRST} UTC", f"--iterations={days}", calendar]
    said = subprocess.run(command, env=os.environ | {"TZ": zone, "LC_ALL": "C"}, check=True, capture_output=True, text=True)
    lines = re.findall(r"(?:Next elapse|Iter\. #\d+|Iteration #\d+): \w+ (\S+ \S+) (\S+)\n(?:\s*\(in UTC\): \w+ (\S+ \S+) UTC)?", said.stdout)
    found = [datetime.datetime.fromisoformat(utc or local) for local, _, utc in lines]
    if len(found) != days:
        sys.exit(f"hours.py: systemd-analyze gave {len(found)} of {days} runs of {calendar} in {zone}")
    return found


def main():
    kinds = list(kinds_of_zones())
    zones = sum(len(names) for names, _ in kinds)
    assert zones > 400, f"only {zones} time zones are installed"
    bad = asked = 0
    for path in sorted(pathlib.Path(sys.argv[1]).glob("*.timer")):
        for calendar in re.findall(r"^OnCalendar=(.+)$", path.read_text(), re.MULTILINE):
            if step(calendar) is None:
                continue
            asked += 1
            for names, change in kinds:
                found = runs(calendar, names[0])
                gap, after = max((b - a, a) for a, b in zip(found, found[1:]))
                if gap > STEP[step(calendar)] + change:
                    bad += 1
                    print(f"{path.name}: {gap} without a run after {after} UTC in {', '.join(names)}", file=sys.stderr)
    assert asked >= 4, f"only {asked} calendars were found in {sys.argv[1]}"
    print(f"{asked} calendars in {zones} zones")
    sys.exit(bad > 0)


main()
