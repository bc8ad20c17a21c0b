"""Unusable recipients, and identities that do not match."""

import os
import shutil

from world import sets
from world.machine import run

MACHINE = "/etc/nexus/credentials/machine_identity"


def wrong(job, row, case):
    """`step` says whose key; `argument` what is wrong with it."""
    return {"recipients": recipients, "identity": identity}[row.step](job, row.argument)


def recipients(job, how):
    """Runs nexus-backup with a wrong file of recipients."""
    path = job.path("recipients")
    good = run("age-keygen", "-y", sets.OWNER)
    write(path, {
        "none": "# nobody\n", "empty": "", "rubbish": good + "rubbish\n", "cut": good.strip()[:-1] + "\n",
        "identity": new_identity(job), "changed": good.strip()[:-1] + ("q" if good.strip()[-1] != "q" else "p") + "\n",
        "missing": None,
    }[how])
    return job.start(extra=[f"--recipients={path}"]).end(f"recipients: {how}")


def identity(job, how):
    """Runs nexus-restore with an identity that does not open the set."""
    path, command = job.path("identity"), list(job.command)
    if how == "revoked":
        # A set that is not encrypted to the machine's own recipient.
        command[command.index("latest")] = set_without_the_machine(job)
        shutil.copy(MACHINE, path)
    else:
        write(path, {"wrong": new_identity(job), "none": "# nobody\n", "empty": "", "rubbish": "rubbish\n", "missing": None,
                     "cut": open(MACHINE, encoding="ascii").read().strip()[:-1]}[how])
    return job.start_other([*command, f"--identity={path}"]).end(f"identity: {how}")


def set_without_the_machine(job):
    """Makes a set that only the owner can open."""
    directory, listed = job.path("revoked"), job.path("recipients")
    shutil.rmtree(directory, ignore_errors=True)
    os.makedirs(directory)
    write(listed, run("age-keygen", "-y", sets.OWNER))
    run("nexus-backup", f"--pg-database={job.bench.database()}", f"--backup-dir={directory}", "--redis=no", f"--recipients={listed}")
    made = os.path.join(directory, sets.names(directory)[-1])
    sets.contents(made)
    return made


def new_identity(job):
    path = job.path("new-identity")
    if os.path.exists(path):
        os.unlink(path)
    run("age-keygen", "-o", path)
    with open(path, encoding="ascii") as file:
        return file.read()


def write(path, text):
    if text is None:
        if os.path.exists(path):
            os.unlink(path)
        return
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
