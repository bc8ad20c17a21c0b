"""Databases, files, Compose projects and Docker contexts of others on the same machine."""

import os
import shutil
import subprocess

from world.machine import run
from world.strangers import Strangers
from world.wrong import FalseSuccess, SetLost

STRANGER = "stranger_database"


def databases(job, row, case):
    """`argument`: databases `come-and-go` while the job runs; or there is `one`, which a backup must contain or name."""
    if row.argument == "come-and-go":
        with Strangers(job.server, case.rng) as others:
            outcome = job.start().end()
        outcome.what = f"{others.done} changes of databases"
        return outcome
    job.server.sql(f"CREATE DATABASE {STRANGER}")
    try:
        job.server.sql("CREATE TABLE of_somebody AS SELECT generate_series(1, 1000)", STRANGER)
        outcome = job.start().end("another database is there")
        if outcome.exit == 0 and STRANGER not in outcome.said + outcome.answer:
            raise FalseSuccess(f"database {STRANGER} is in no set, but the job does not say so: {outcome.said.strip()}")
    finally:
        job.server.drop(STRANGER)
    return outcome


def files(job, row, case):
    """Puts files of others into a set (`step` set) or beside the sets (`directory`), named by `argument`; the job must not touch them."""
    where = job.set if row.step == "set" else os.path.dirname(job.set) if hasattr(job, "set") else job.nights.directory
    name = row.argument.replace("*", "manifest.json.age")
    folder = case.rng.choice([where, os.path.join(where, "data")]) if row.step == "set" else where
    path = os.path.join(folder, name)
    if name in ("@eaDir", "lost+found", ".Trash-1000"):
        os.makedirs(path)
        inside = os.path.join(path, "somebody's")
    else:
        inside = path
    content = case.rng.randbytes(case.rng.choice([0, 1, 4096]))
    with open(inside, "wb") as file:
        file.write(content)
    try:
        outcome = job.start().end(f"{os.path.relpath(path, where)} in the {row.step}")
        if not os.path.isfile(inside) or open(inside, "rb").read() != content:
            raise SetLost(f"a file of others is gone or changed: {path}")
    finally:
        if inside != path:
            shutil.rmtree(path, ignore_errors=True)
        elif os.path.exists(path):
            os.unlink(path)
    return outcome


def project(job, row, case):
    """Creates another user's Compose project called `argument`: its container and volume must stay unchanged."""
    image = run("docker", "inspect", "--format", "{{.Config.Image}}", "nexus-redis").strip()
    labels = [f"--label=com.docker.compose.{key}={value}" for key, value in {
        "project": row.argument, "service": case.rng.choice(["web", "redis", "postgres"]), "oneoff": "False", "container-number": "1",
        "project.working_dir": "/srv/nexus", "project.config_files": "/srv/nexus/compose.yml", "config-hash": "0" * 64}.items()]
    volume = "stranger_data"
    run("docker", "volume", "create", f"--label=com.docker.compose.project={row.argument}", volume)
    container = run("docker", "run", "--detach", "--network=none", "--name=stranger-1", f"--volume={volume}:/somebody", *labels, "--entrypoint=sleep", image, "infinity").strip()
    try:
        outcome = job.start().end(f"another project {row.argument}")
        state = subprocess.run(["docker", "inspect", "--format", "{{.State.Running}}", container], capture_output=True, text=True)
        if state.stdout.strip() != "true":
            raise SetLost(f"the container of another project is gone: {state.stdout}{state.stderr}")
        run("docker", "volume", "inspect", volume)
    finally:
        subprocess.run(["docker", "rm", "--force", "--volumes", container], capture_output=True)
        subprocess.run(["docker", "volume", "rm", volume], capture_output=True)
        job.server.await_answer()
    return outcome


def context(job, row, case):
    """root uses another Docker context without a daemon, set by `docker context` (`argument` context) or by DOCKER_HOST (`host`)."""
    elsewhere = "unix:///run/somebody-else.sock"
    if row.argument == "host":
        return job.start(env={"DOCKER_HOST": elsewhere}).end("DOCKER_HOST is another")
    run("docker", "context", "create", "stranger", "--docker", f"host={elsewhere}")
    try:
        run("docker", "context", "use", "stranger")
        return job.start().end("another Docker context")
    finally:
        run("docker", "context", "use", "default")
        run("docker", "context", "rm", "--force", "stranger")
