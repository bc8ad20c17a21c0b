"""Faults of the alerts' path: the owner's web server, and the queue on disk."""

import subprocess


def webhook(job, row, case):
    """`argument` is the server's behaviour during the run: `500`, `hangs`, `hangs-up`."""
    job.web.set(row.argument)
    try:
        return job.start().end(f"the server: {row.argument}")
    finally:
        job.web.set("well")


def queue(job, row, case):
    """`argument` is the damage to the file of a problem (`emptied`, `cut`, `rubbish`, `of-another`), or to the directory
    (`read-only`)."""
    if row.argument == "read-only":
        return read_only(job)
    problem = case.rng.choice(["as-before", "worse", "over"])
    path = job.file_of(problem)
    with open(path, "rb") as file:
        content = file.read()
    with open(job.file_of("as-before" if problem != "as-before" else "worse"), "rb") as file:
        of_another = file.read()
    with open(path, "wb") as file:
        file.write({
            "emptied": lambda: b"", "cut": lambda: content[:case.rng.randrange(1, len(content) - 1)],
            "rubbish": lambda: case.rng.randbytes(len(content)), "of-another": lambda: of_another,
        }[row.argument]())
    job.damaged.add(problem)
    return job.start().end(f"the file of {problem}: {row.argument}")


def read_only(job):
    subprocess.run(["mount", "--bind", job.state, job.state], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", job.state], check=True)
        return job.start().end("the directory: read-only")
    finally:
        subprocess.run(["umount", job.state], check=True)
