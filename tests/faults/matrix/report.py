"""Formats the table of results for a terminal and as Markdown."""

import collections

from world.wrong import KINDS, DamageMissed

HEAD = ["job", "where", "fault", "argument", "must", "cases", "failed", "ended with", "time"]


def cells(result):
    row = result.row
    ends = ", ".join(f"{code} ({count})" for code, count in sorted(result.ends.items()))
    return [row.job, row.step, row.fault, row.argument, row.expectation.text, str(result.struck), str(result.failed), ends,
            f"{result.seconds:.0f} s"]


def text(results):
    lines = [HEAD, *map(cells, results)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in lines)


def wrong(results):
    """Returns the number of failures of each kind."""
    counts = collections.Counter()
    for result in results:
        counts.update(result.wrong)
    return counts


def summary(results):
    """Returns the promises, each with its count."""
    counts, detected = wrong(results), sum(result.detected for result in results)
    damaged = detected + counts[DamageMissed]
    share = f"{100 * detected / damaged:g} %" if damaged else "nothing was damaged"
    lines = [f"{kind.kind}: {counts[kind]}" for kind in KINDS]
    return [f"damage detected: {detected} of {damaged} ({share})", *lines]


def sources(results):
    """Returns each seed and state of the code, with its number of cases."""
    counts = collections.Counter()
    for result in results:
        counts[result.source] += result.struck
    return "; ".join(f"{source}: {count} cases" for source, count in counts.most_common())


def markdown(results, kind, missing):
    """Returns the section of docs/FAULTS.md; `missing` are the rows that have not been run."""
    cases = sum(result.struck for result in results)
    lines = [f"{kind.capitalize()}: {cases} cases, {sum(r.failed for r in results)} failed ({sources(results)}).", ""]
    if missing:
        lines += [f"{len(missing)} rows are missing, because they have not run yet: {'; '.join(missing)}.", ""]
    lines += [f"- {line}" for line in summary(results)]
    lines += ["", "| " + " | ".join(HEAD[:-1]) + " |", "|" + "---|" * (len(HEAD) - 1)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in cells(result)[:-1]) + " |" for result in results]
    return "\n".join(lines) + "\n"
