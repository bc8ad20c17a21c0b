"""A set whose manifest names a PostgreSQL or extensions that the server does not have."""

import json
import os
import shutil

from world import sets


def other(job, row, case):
    """`argument` names what differs."""
    forged = job.path("forged", os.path.basename(job.set))
    shutil.rmtree(os.path.dirname(forged), ignore_errors=True)
    os.makedirs(os.path.dirname(forged))
    sets.copy(job.set, forged)
    path = os.path.join(forged, "manifest.json.age")
    manifest = json.loads(sets.plain(path))
    HOW[row.argument](manifest)
    sets.seal(path, json.dumps(manifest).encode())
    sets.write_sums(forged)
    command = [forged if word == "latest" else word for word in job.command]
    return job.start_other(command).end(row.argument)


def newer_server(manifest):
    manifest["postgres"].update(server_version="99.1", server_version_num=990001)


def older_server(manifest):
    manifest["postgres"].update(server_version="15.1", server_version_num=150001)


def newer_extension(manifest):
    manifest["postgres"]["extensions"]["vector"] = "99.0"


def unknown_extension(manifest):
    manifest["postgres"]["extensions"]["no_such_extension"] = "1.0"


def newer_format(manifest):
    manifest["format"] += 1


HOW = {
    "newer-server": newer_server, "older-server": older_server, "newer-extension": newer_extension,
    "unknown-extension": unknown_extension, "newer-format": newer_format,
}
