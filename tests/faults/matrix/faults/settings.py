"""The owner sets timeouts that end sessions: for the server, a database, or the roles. Each session of ours overrides them."""

import time

from world.machine import await_that
from world.server import TIMEOUTS


def hostile(job, row, case):
    """`step` says where it is set: `server` (postgresql.auto.conf), `database` or `roles`; `argument` names the setting, or `all`.
    Its value is short, but longer than connecting takes, because a session can override it only once it is connected."""
    names = TIMEOUTS if row.argument == "all" else [row.argument]
    least = max(100, 3 * connecting(job))
    values = {name: f"{case.rng.choice([1, 2, 4]) * least}ms" for name in names}
    try:
        for name, value in values.items():
            SET[row.step](job, name, value)
        outcome = job.start().end(f"{row.step}: {', '.join(f'{name} {value}' for name, value in values.items())}")
    finally:
        job.server.await_answer()
        for name in names:
            UNSET[row.step](job, name)
    return outcome


def connecting(job):
    """Returns the milliseconds that connecting takes on this machine now."""
    job.server.leave("postgres")
    began = time.monotonic()
    job.server.sql("SELECT 1")
    return round(1000 * (time.monotonic() - began))


def for_server(job, name, value):
    job.server.sql(f"ALTER SYSTEM SET {name} = '{value}'")
    reload(job)


def for_server_no_more(job, name):
    job.server.sql(f"ALTER SYSTEM RESET {name}")
    reload(job)


def reload(job):
    """Waits until new sessions have the setting: the server reads the file first, then its sessions, including ours."""
    [before] = job.server.sql("SELECT pg_conf_load_time()")
    job.server.sql("SELECT pg_reload_conf()")
    await_that(lambda: job.server.sql("SELECT pg_conf_load_time()") != [before], "the server has read its settings")


def for_database(job, name, value):
    job.server.sql(f'ALTER DATABASE "{job.database}" SET {name} = \'{value}\'')


def for_database_no_more(job, name):
    """Resets it, whatever the database's name is now."""
    for database in job.server.databases("fault_"):
        job.server.sql(f'ALTER DATABASE "{database}" RESET {name}')


def for_roles(job, name, value):
    for role in roles(job):
        job.server.sql(f'ALTER ROLE "{role}" SET {name} = \'{value}\'')


def for_roles_no_more(job, name):
    for role in roles(job):
        job.server.sql(f'ALTER ROLE "{role}" RESET {name}')


def roles(job):
    return job.server.sql("SELECT rolname FROM pg_roles WHERE rolcanlogin")


SET = {"server": for_server, "database": for_database, "roles": for_roles}
UNSET = {"server": for_server_no_more, "database": for_database_no_more, "roles": for_roles_no_more}
