"""A set with a matching SHA256SUMS, which still differs from the backup: only decrypting it and comparing the restored rows can
show that."""

import os
import shutil

from world import sets


def done(job, row, case):
    """`step` names the file; `argument` the forgery. Rewrites the checksums to match."""
    forged = job.path("forged", os.path.basename(job.set))
    shutil.rmtree(os.path.dirname(forged), ignore_errors=True)
    os.makedirs(os.path.dirname(forged))
    sets.copy(job.set, forged)
    name = case.rng.choice([n for n in sets.files(forged) if row.step in (n, os.path.dirname(n))])
    what = HOW[row.argument](os.path.join(forged, name), os.path.join(job.bench.other_example(), name), case.rng)
    sets.write_sums(forged)
    command = [forged if word == "latest" else word for word in job.command]
    return job.start_other(command).end(f"{name}: {what}")


def flip(path, _, rng):
    with open(path, "rb") as file:
        content = bytearray(file.read())
    at, bit = rng.randrange(len(content)), rng.randrange(8)
    content[at] ^= 1 << bit
    with open(path, "wb") as file:
        file.write(content)
    return f"bit {bit} of byte {at} flipped"


def cut(path, _, rng):
    size = os.path.getsize(path)
    left = rng.randrange(size)
    os.truncate(path, left)
    return f"cut to {left} of {size} bytes"


def of_another_set(path, other, _):
    shutil.copyfile(other, path)
    return "the one of another set"


def changed(path, _, rng):
    """Flips one bit of the plain content, and encrypts it again."""
    content = bytearray(sets.plain(path))
    # Not in the first bytes, where the magic number would show it.
    at, bit = rng.randrange(25, len(content)), rng.randrange(8)
    content[at] ^= 1 << bit
    sets.seal(path, bytes(content))
    return f"bit {bit} of the plain byte {at} flipped"


def shortened(path, _, rng):
    content = sets.plain(path)
    left = rng.randrange(len(content))
    sets.seal(path, content[:left])
    return f"{left} of {len(content)} plain bytes"


HOW = {"flip": flip, "cut": cut, "of-another-set": of_another_set, "changed": changed, "shortened": shortened}
