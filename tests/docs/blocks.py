"""Reads the command blocks of a Markdown page, and the HTML comments before a block that say how to test it.

A block is indented by four spaces, or fenced by ``` alone or ```sh. A fence with another word (```text, ```json) is a sample
and does not run. The comments before a block, each with its reason:

    <!-- test: not here, because REASON -->          does not run it
    <!-- test: exits CODE…, because REASON -->       expects this exit code, or one of these
    <!-- test: with A => B, because REASON -->       replaces A by the output of `echo B`
    <!-- test: first COMMAND, because REASON -->     runs COMMAND before it
    <!-- test: types WORD, because REASON -->        types WORD when it asks on the terminal
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

COMMENT = re.compile(r"^<!-- test: (not here|exits|with|first|types)(?: (.*?))?, because (.+?) -->$")


@dataclass
class Block:
    page: str
    line: int
    text: str = ""
    is_sample: bool = False
    # Tuples of kind, argument and reason.
    notes: list = field(default_factory=list)

    def said(self, kind):
        return [argument for what, argument, _ in self.notes if what == kind]

    def reason(self, kind):
        return next(reason for what, _, reason in self.notes if what == kind)

    @property
    def name(self):
        first = next(line for line in self.text.splitlines() if line.strip())
        return f"{self.page}:{self.line} {first.strip()[:70]}"

    def commands(self):
        """Returns its lines without comments: these must be the same in two languages."""
        lines = (re.sub(r"\s+#\s.*$", "", line).strip() for line in self.text.splitlines())
        return [line for line in lines if line and not line.startswith("# ")]


def note(page, number, line):
    found = COMMENT.match(line)
    if not found:
        raise SystemExit(f"{page}:{number}: unknown test comment: {line}")
    return found.groups()


def blocks_of(page: Path, root: Path):
    """Returns all blocks in order."""
    name = str(page.relative_to(root))
    blocks, notes, block, fence, before = [], [], None, False, ""
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if fence:
            if line.startswith("```"):
                fence, block = False, None
            else:
                block.text += line + "\n"
        elif line.startswith("```"):
            fence = True
            block = Block(name, number + 1, is_sample=line[3:].strip() not in ("", "sh"), notes=notes)
            notes = []
            blocks.append(block)
        elif line.startswith("    ") and (block or before.strip() == "" or before.startswith("<!--")):
            if block is None:
                block = Block(name, number, notes=notes)
                notes = []
                blocks.append(block)
            block.text += line[4:] + "\n"
        elif line.startswith("<!-- test:"):
            notes.append(note(name, number, line))
            block = None
        elif line.strip():
            if notes:
                raise SystemExit(f"{name}:{number}: no block follows the test comment")
            block = None
        elif block is not None:
            block.text += "\n"
        before = line
    return [b for b in blocks if b.text.strip()]
