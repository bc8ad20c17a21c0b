"""How a job is run, broken and looked at: what matrix.py needs of a machine with NEXUS installed."""

import contextlib
import hashlib
import os
import shutil
import signal as signals
import subprocess
import tempfile
import time

PATIENCE = 60
DATABASE = "fault_matrix"


def run(*words, **options):
    return subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=True, **options).stdout


def sql(text, database="postgres"):
    return run("docker", "exec", "-i", "nexus-postgres", "psql", "-XAtq", "--set=ON_ERROR_STOP=1",
               f"--dbname={database}", input=text)


def await_that(condition, what, seconds=PATIENCE):
    """Waits until condition() is true. The pause is only between two looks."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"waited in vain until {what}")
        time.sleep(0.02)


class Bench(contextlib.AbstractContextManager):
    """The database and the directory that the cases work on."""

    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="faults-")
        self.jobs = {}
        sql(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        sql(f"CREATE DATABASE {DATABASE}")
        sql("CREATE TABLE large AS SELECT i, repeat(md5(i::text), 8) AS text FROM generate_series(1, 20000) i;"
            "CREATE TABLE small AS SELECT generate_series(1, 10) AS i;"
            "CREATE SEQUENCE s; SELECT nextval('s');"
            "SELECT lo_from_bytea(0, convert_to(repeat('x', 10000), 'UTF8'));", DATABASE)

    def job(self, name):
        if name not in self.jobs:
            self.jobs[name] = {"backup": Backup, "rotation": Rotation}[name](os.path.join(self.directory, name))
        return self.jobs[name]

    def __exit__(self, *_):
        sql(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        shutil.rmtree(self.directory)


class Backup:
    """nexus-backup of the bench's database into a directory that holds two sets already."""

    def __init__(self, directory):
        self.directory = directory
        os.makedirs(directory, mode=0o700)
        self.command = ["nexus-backup", f"--pg-database={DATABASE}", f"--backup-dir={directory}", "--redis=no"]
        self.duration = min(self.undisturbed() for _ in range(2))

    def undisturbed(self):
        began = time.monotonic()
        done = subprocess.run(self.command, capture_output=True, text=True, timeout=PATIENCE)
        if done.returncode != 0:
            raise AssertionError(f"the next run fails: {done.stderr.strip()}")
        return time.monotonic() - began

    def sets(self):
        names = (n for n in os.listdir(self.directory) if n[0].isdigit())
        return {n: digest(os.path.join(self.directory, n)) for n in names}

    def looked_at(self, before, status, said):
        """What is wrong after a run that ended with status; None when nothing is."""
        try:
            after = self.sets()
            for name, known in before.items():
                if after.get(name) != known:
                    return f"the old set {name} is not what it was"
            new = set(after) - set(before)
            for name in new:
                subprocess.run(["sha256sum", "--quiet", "--check", "SHA256SUMS"], check=True, capture_output=True,
                               cwd=os.path.join(self.directory, name))
            if status == 0 and len(new) != 1:
                return f"it says that it succeeded, and there are {len(new)} new sets"
            await_that(nothing_runs, "no process and no session of ours lives", 15)
            self.undisturbed()
            left = [n for n in os.listdir(self.directory) if n.endswith((".partial", ".removing"))]
            if left:
                return f"the next run has not swept {left}"
            self.thin_out()
        except (AssertionError, subprocess.SubprocessError, OSError) as wrong:
            return f"{wrong} (exit {status}: {said.strip()[-300:]})"
        return None

    def thin_out(self):
        """Keeps the two newest sets, so that a thousand cases do not fill the disk."""
        for name in sorted(os.listdir(self.directory)):
            if name[0].isdigit() and name not in sorted(self.sets())[-2:]:
                shutil.rmtree(os.path.join(self.directory, name))


class Rotation(Backup):
    """nexus-backup --rotate-only over twenty nightly sets, of which six are too old."""

    def __init__(self, directory):
        super().__init__(directory)
        self.backup = self.command
        self.command = [*self.command, "--rotate-only", "--keep-days=14"]
        self.fill()

    def fill(self):
        real = next(n for n in sorted(os.listdir(self.directory)) if n[0].isdigit())
        for day in range(1, 21):
            taken = time.strftime("%Y%m%dT030000Z", time.gmtime(1_767_236_400 + day * 86_400))
            name = os.path.join(self.directory, f"{day + 100:06}-{taken}")
            if not os.path.exists(name):
                shutil.copytree(os.path.join(self.directory, real), name)
        self.young = {n for n in os.listdir(self.directory) if n[0].isdigit() and int(n[:6]) >= 106}

    def looked_at(self, before, status, said):
        try:
            after = self.sets()
            changed = [n for n in after if after[n] != before.get(n)]
            if changed:
                return f"{changed} are not what they were"
            if not self.young <= set(after):
                return f"young sets are gone: {self.young - set(after)}"
            self.undisturbed()
            left = {n for n in os.listdir(self.directory) if n[0].isdigit() or n.endswith(".removing")}
            if left != self.young:
                return f"the next run has left {left ^ self.young}"
            # An old one again, for the next case.
            self.young = set()
            newest = max(left)
            for name in left - {newest}:
                shutil.rmtree(os.path.join(self.directory, name))
            self.fill()
        except (AssertionError, subprocess.SubprocessError, OSError) as wrong:
            return f"{wrong} (exit {status}: {said.strip()[-300:]})"
        return None


def digest(directory):
    """One digest of all files of a directory, with their names."""
    whole = hashlib.sha256()
    for folder, _, files in sorted(os.walk(directory)):
        for name in sorted(files):
            path = os.path.join(folder, name)
            whole.update(path.encode())
            with open(path, "rb") as file:
                whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()


def nothing_runs():
    processes = subprocess.run(["pgrep", "-x", "nexus-backup|pg_dump|pg_dumpall"], capture_output=True).stdout
    sessions = sql("SELECT pid FROM pg_stat_activity WHERE application_name ~ '^(nexus-|pg_dump)'")
    return not processes.strip() and not sessions.strip()


def injected(job, fault, number):
    """The job with the number-th call of a kind failing. Gives whether there was such a call, and what is wrong."""
    before = job.sets()
    with tempfile.NamedTemporaryFile("r", prefix="strace-") as trace:
        done = subprocess.run(
            ["strace", "--follow-forks", "--quiet=all", f"--output={trace.name}", "--trace=" + fault.split(":")[0],
             f"--inject={fault}:when={number}", *job.command],
            capture_output=True, text=True, timeout=PATIENCE)
        happened = "(INJECTED)" in trace.read()
    return happened, job.looked_at(before, done.returncode, done.stderr)


def signal(job, name, at):
    """The job with a signal at a moment, a share of the time it takes undisturbed."""
    before = job.sets()
    process = subprocess.Popen(job.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(at * job.duration)
    process.send_signal(getattr(signals, "SIG" + name))
    _, said = process.communicate(timeout=PATIENCE)
    return job.looked_at(before, process.returncode, said)


def server(job, how, at):
    """The job while the database server dies, or stands still for a while, at a moment."""
    return while_it_runs(job, at, lambda: disturb_server(how))


def tool(job, how, at):
    """The job while pg_dump dies or hangs: it is caught as soon as it runs."""

    def disturb():
        pids = subprocess.run(["pgrep", "-x", "pg_dump"], capture_output=True, text=True).stdout.split()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(pid), signals.SIGKILL if how == "kill" else signals.SIGSTOP)
        if how == "stop":
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signals.SIGCONT)

    return while_it_runs(job, at, disturb)


def disturb_server(how):
    if how == "kill":
        run("docker", "kill", "--signal=KILL", "nexus-postgres")
        run("docker", "start", "nexus-postgres")
    else:
        run("docker", "pause", "nexus-postgres")
        run("docker", "unpause", "nexus-postgres")
    await_that(lambda: subprocess.run(["docker", "exec", "nexus-postgres", "psql", "-Xqc", "SELECT 1", "postgres"],
                                      capture_output=True).returncode == 0, "PostgreSQL answers again")


def while_it_runs(job, at, disturb):
    before = job.sets()
    process = subprocess.Popen(job.command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(at * job.duration)
    disturb()
    _, said = process.communicate(timeout=PATIENCE)
    return job.looked_at(before, process.returncode, said)
