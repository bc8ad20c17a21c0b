"""Damages a set as disks, cables and people damage files. `verify all` reads it and an intact one."""

import json
import os
import shutil

from world import sets
from world.wrong import DamageMissed, WrongEnd


def done(job, row, case):
    """`step` names the file, or `any`; `argument` the damage."""
    names = [name for name in sets.files(job.set) if row.step in ("any", name, os.path.dirname(name))]
    name = case.rng.choice(names)
    path, other = os.path.join(job.set, name), os.path.join(job.whole, name)
    before = sets.digest(job.set), tuple(sets.files(job.set))
    what, damaged = HOW[row.argument](path, other, case.rng)
    if not is_odd(path) and (sets.digest(job.set), tuple(sets.files(job.set))) == before:
        raise AssertionError(f"{row.argument} has changed nothing in {name}")
    outcome = job.start().end(f"{name}: {what}")
    if row.argument == "foreign":
        require_passed_over(job, outcome, os.path.relpath(damaged, job.set))
    if outcome.exit == 65:
        require_named(job, outcome, os.path.relpath(damaged or path, job.set))
    return outcome


def is_odd(path):
    """A directory, a pipe or a link instead of a file is damage too, even if its content is the same."""
    return os.path.islink(path) or not os.path.isfile(path)


def require_named(job, outcome, name):
    """Raises unless the damaged file is named. If SHA256SUMS itself is damaged, any file may mismatch."""
    found = {row["set"]: [damage["file"] for damage in row["damaged"]] for row in json.loads(outcome.answer)["sets"]}
    named = found[os.path.basename(job.set)]
    if name != sets.SUMS and name not in named:
        raise DamageMissed(f"{name} is damaged, but it names {named}")


def require_passed_over(job, outcome, name):
    """Raises unless the foreign file, or its directory, is named and does not count as damage."""
    found = {row["set"]: row for row in json.loads(outcome.answer)["sets"]}[os.path.basename(job.set)]
    named = [name, os.path.dirname(name) + "/"]
    if found["damaged"] or not set(named) & set(found["foreign"]):
        raise WrongEnd(f"{name} must be named as foreign and not as damage; it reports {found}")


def rewrite(path, change):
    with open(path, "rb") as file:
        content = bytearray(file.read())
    content = change(content)
    with open(path, "wb") as file:
        file.write(content)


def flip(path, _, rng):
    at, bit = rng.randrange(os.path.getsize(path)), rng.randrange(8)

    def change(content):
        content[at] ^= 1 << bit
        return content

    rewrite(path, change)
    return f"bit {bit} of byte {at} flipped", None


def cut(path, _, rng):
    size = os.path.getsize(path)
    by = rng.choice([1, 1, 16, rng.randint(1, size)])
    os.truncate(path, max(0, size - by))
    return f"the last {by} of {size} bytes cut off", None


def hole(path, _, rng):
    at = rng.randrange(os.path.getsize(path))
    rewrite(path, lambda content: content[:at] + content[at + 1:])
    return f"byte {at} is missing", None


def grown(path, _, rng):
    more = rng.randbytes(rng.choice([1, 16, 4096]))
    with open(path, "ab") as file:
        file.write(more)
    return f"{len(more)} bytes added", None


def zeroed(path, _, rng):
    size = os.path.getsize(path)
    at, length = rng.randrange(size), rng.choice([16, 512, 4096])
    rewrite(path, lambda content: content[:at] + bytes(min(length, size - at)) + content[at + length:])
    return f"{length} zeros from byte {at}", None


def doubled(path, _, rng):
    # From the second byte on, because there is nothing before the first.
    at = rng.randrange(1, os.path.getsize(path))
    length = min(at, 512)
    rewrite(path, lambda content: content[:at] + content[at - length:])
    return f"{length} bytes before byte {at} are there twice", None


def emptied(path, *_):
    os.truncate(path, 0)
    return "empty", None


def missing(path, *_):
    os.unlink(path)
    return "missing", None


def of_another_set(path, other, _):
    shutil.copyfile(other, path)
    return "the one of another set", None


def exchanged(path, _, rng):
    """Exchanges it with another file of the same set."""
    root = set_of(path)
    others = [os.path.join(root, name) for name in sets.files(root) if name != sets.SUMS]
    other = rng.choice([o for o in others if sets.sha256(o) != sets.sha256(path)])
    os.rename(path, path + ".x")
    os.rename(other, path)
    os.rename(path + ".x", other)
    return f"exchanged with {os.path.basename(other)}", None


def set_of(path):
    """Returns the set's directory for one of its files."""
    folder = os.path.dirname(path)
    return os.path.dirname(folder) if os.path.basename(folder) == "data" else folder


def renamed(path, *_):
    os.rename(path, path + ".old")
    return "renamed", None


def link(path, *_):
    """Replaces the file by a link to it."""
    away = os.path.join(os.path.dirname(set_of(path)), ".away")
    os.rename(path, away)
    os.symlink(away, path)
    return "a link to the file", None


def directory(path, *_):
    os.unlink(path)
    os.mkdir(path)
    return "a directory", None


def pipe(path, *_):
    os.unlink(path)
    os.mkfifo(path)
    return "a pipe without a writer", None


def extra(path, _, rng):
    """Adds an unlisted file with a name that sets use: a reader of sets might open it."""
    root = set_of(path)
    new = rng.choice([name for name in OF_SETS if not os.path.exists(os.path.join(root, name))])
    new = os.path.join(root, new)
    with open(new, "wb") as file:
        file.write(rng.randbytes(rng.choice([0, 10])))
    return f"there is {os.path.relpath(new, root)} besides", new


def foreign(path, _, rng):
    """Adds a file that operating systems leave in any directory: it is named, but is no damage."""
    name = rng.choice([".DS_Store", "._" + os.path.basename(path), "Thumbs.db", "desktop.ini", "SHA256SUMS.old", "@eaDir/x", "lost+found/x"])
    new = os.path.join(os.path.dirname(path), name)
    os.makedirs(os.path.dirname(new), exist_ok=True)
    with open(new, "wb") as file:
        file.write(rng.randbytes(rng.choice([0, 10])))
    if name.startswith("lost+found"):
        os.chmod(os.path.dirname(new), 0)
    return f"there is {name} beside it", new


def line_missing(path, _, rng):
    lines = lines_of(path)
    lines.pop(rng.randrange(len(lines)))
    write_lines(path, lines)
    return "a line is missing", None


def line_twice(path, _, rng):
    lines = lines_of(path)
    lines.insert(rng.randrange(len(lines)), rng.choice(lines))
    write_lines(path, lines)
    return "a line is there twice", None


def lines_exchanged(path, _, rng):
    """Exchanges the digests of two names."""
    lines = lines_of(path)
    one, other = rng.sample(range(len(lines)), 2)
    lines[one], lines[other] = lines[other][:64] + lines[one][64:], lines[one][:64] + lines[other][64:]
    write_lines(path, lines)
    return "two digests exchanged", None


def lines_of(path):
    with open(path, encoding="ascii") as file:
        return file.readlines()


def write_lines(path, lines):
    with open(path, "w", encoding="ascii") as file:
        file.writelines(lines)


OF_SETS = ["ledger.jsonl.age", "ledger.key.age", "redis.rdb.zst.age", "data/0099.copy.zst.age", "data/12345.copy.zst.age"]

HOW = {
    "flip": flip, "cut": cut, "hole": hole, "grown": grown, "zeroed": zeroed, "doubled": doubled, "emptied": emptied,
    "missing": missing, "of-another-set": of_another_set, "exchanged": exchanged, "renamed": renamed, "link": link,
    "directory": directory, "pipe": pipe, "extra": extra, "foreign": foreign, "line-missing": line_missing, "line-twice": line_twice,
    "lines-exchanged": lines_exchanged,
}
