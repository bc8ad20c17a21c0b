-- The one role for programs. Not a numbered step but a state, asserted at every start: a role belongs to the server and
-- a database's grants to the database, so either may be new while the other is not (a restored database, a new server).
BEGIN;
SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'nexus_app') AS missing \gset
\if :missing
    -- Its password is set by migrate.sh; until then it has none and cannot log in.
    CREATE ROLE nexus_app;
\endif
ALTER ROLE nexus_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION NOBYPASSRLS;

-- Row-level security shows the rows of the agent named here. Programs that know of no agents are the agent `nexus`.
-- Others say SET nexus.agent_id = '…' when they connect. An empty value sees nothing.
ALTER ROLE nexus_app SET nexus.agent_id = 'nexus';
-- A vector index knows nothing of agents: it finds the nearest rows of all of them, and those of others are dropped after.
-- With this, pgvector (0.8 and later) goes on looking until enough are left. An agent with 1 % of 20,000 random vectors that
-- asks for its nearest 10 got 0.35 rows without it, 10 rows with strict_order, 52 % of them the right ones, and 10 rows,
-- 87 % right, with relaxed_order, which may give neighbours of nearly the same distance in the other order.
ALTER ROLE nexus_app SET hnsw.iterative_scan = 'relaxed_order';

REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
-- Nor has any role business in these two: a session there could hold the lock of nexus-restore, or keep databases from being
-- created. A role that needs one: GRANT CONNECT ON DATABASE postgres TO …
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', datname) FROM pg_catalog.pg_database WHERE datname IN ('postgres', 'template1') \gexec
GRANT CONNECT, TEMPORARY ON DATABASE :"DBNAME" TO nexus_app;
COMMIT;
