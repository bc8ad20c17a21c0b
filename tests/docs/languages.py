"""Checks that each Spanish page has the commands and test comments of the English one, in the same order, so that one test covers
both. Also compares headings, and the `code` in rows of tables: languages.py ROOT

If the commands of a page contain texts in Spanish, compares only the programs; part docs runs such a page itself.
"""

import re
import sys
from pathlib import Path

from blocks import blocks_of

WITH_TEXTS = {"CHEATSHEET.md"}


def commands(page, root):
    blocks = (block for block in blocks_of(page, root) if not block.is_sample)
    return [line for block in blocks for line in [*(f"{what} {argument}" for what, argument, _ in block.notes), *block.commands()]]


def programs(lines):
    return [line.split()[0].split("=")[0] for line in lines]


def outline(page):
    """Returns the level of each heading, and the code in each row of a table."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    lines = re.findall(r"^(?:#+ |\|).*", text, flags=re.MULTILINE)
    return [sorted(re.findall(r"`[^`]+`", line)) if line.startswith("|") else line.split()[0] for line in lines]


def main(root):
    passed = failed = 0
    for spanish in sorted((root / "docs/es").glob("*.md")):
        english = root / "docs" / spanish.name
        here, there = commands(spanish, root), commands(english, root)
        if spanish.name in WITH_TEXTS:
            here, there = programs(here), programs(there)
        here, there = here + outline(spanish), there + outline(english)
        if here == there:
            passed += 1
            print(f"ok docs/es/{spanish.name} has the commands and tables of docs/{spanish.name}")
        else:
            failed += 1
            differing = next((pair for pair in zip(here, there) if pair[0] != pair[1]), (len(here), len(there)))
            print(f"FAILED docs/es/{spanish.name}: {differing[0]} where docs/{spanish.name} has {differing[1]}")
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
