"""Creates and drops databases of others in the same server."""

import threading

from world.others import Others

PREFIX = "stranger_"


def of_the_server(rng):
    name, other = f"{PREFIX}{rng.randint(1, 3)}", f"{PREFIX}{rng.randint(1, 3)}"
    return rng.choice([f"CREATE DATABASE {name} TEMPLATE template0", f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"ALTER DATABASE {name} RENAME TO {other}",
                       f"ALTER DATABASE {name} SET work_mem = '5MB'", f"ALTER DATABASE {name} CONNECTION LIMIT 3", f"CREATE ROLE {name}",
                       f"DROP ROLE IF EXISTS {name}", f"COMMENT ON DATABASE {name} IS 'of somebody else'"])


class Strangers(Others):
    """A session that creates, renames and drops databases and roles."""

    def __init__(self, server, rng):
        super().__init__(server, "template1", "database", rng, sessions=0)
        self.kinds = [of_the_server]
        # One session, because two that create a database at once wait for each other.
        self.threads = [threading.Thread(target=self.work, args=(rng,), daemon=True)]

    def __exit__(self, *_):
        super().__exit__()
        self.server.drop(*self.server.databases(PREFIX))
        for role in self.server.sql(f"SELECT rolname FROM pg_roles WHERE starts_with(rolname, '{PREFIX}')"):
            self.server.sql(f"DROP ROLE {role}")
