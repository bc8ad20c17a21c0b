"""Reads the table: what to break, where, in which job, how often, and how the job must end."""

import dataclasses

import faults
from expectation import Expectation

COLUMNS = 7


@dataclasses.dataclass(frozen=True)
class Row:
    """One line. `short` and `long` are numbers of cases, or `every`: the first call, the second, … until a run without the fault."""

    job: str
    step: str
    fault: str
    argument: str
    short: str
    long: str
    expectation: Expectation

    def __str__(self):
        return f"{self.job} {self.step} {self.fault} {self.argument}"

    def cases(self, long):
        return self.long if long else self.short


def read(path):
    rows = []
    with open(path, encoding="utf-8") as table:
        for number, line in enumerate(table, 1):
            if not line.strip() or line.startswith("#"):
                continue
            words = line.split()
            if len(words) != COLUMNS or words[2] not in faults.BY_NAME:
                raise ValueError(f"{path}, line {number}: expected {COLUMNS} columns, the third one of {sorted(faults.BY_NAME)}")
            rows.append(Row(*words[:6], Expectation(words[6])))
    if len({str(row) for row in rows}) != len(rows):
        raise ValueError(f"{path}: duplicate line")
    return rows
