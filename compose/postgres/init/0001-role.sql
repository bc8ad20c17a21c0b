-- The role for programs. Not a numbered step but a state, asserted at every start: a role belongs to the server, and a
-- database's grants to the database, so either may be new while the other is not (a restored database, a new server).
BEGIN;
SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'nexus_app') AS missing \gset
\if :missing
    -- migrate.sh sets its password; until then it has none and cannot log in.
    CREATE ROLE nexus_app;
\endif
ALTER ROLE nexus_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION NOBYPASSRLS;

-- Row-level security shows the rows of the agent named here. Programs without agents are the agent `nexus`.
-- Others run SET nexus.agent_id = '…' when they connect. An empty value sees nothing.
ALTER ROLE nexus_app SET nexus.agent_id = 'nexus';
-- A vector index ignores agents: it finds the nearest rows of all agents, and PostgreSQL then drops those of others.
-- With this setting, pgvector (0.8 and later) searches until enough rows are left. An agent with 1 % of 20,000 random vectors
-- asked for its nearest 10. It got 0.35 rows without the setting, 10 rows (52 % of them right) with strict_order, and 10 rows
-- (87 % right) with relaxed_order, which may swap neighbours of nearly the same distance.
ALTER ROLE nexus_app SET hnsw.iterative_scan = 'relaxed_order';

REVOKE ALL ON DATABASE :"DBNAME" FROM PUBLIC;
-- No role needs these two: a session there could hold the lock of nexus-restore, or prevent the creation of databases.
-- For a role that does need one: GRANT CONNECT ON DATABASE postgres TO …
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', datname) FROM pg_catalog.pg_database WHERE datname IN ('postgres', 'template1') \gexec
GRANT CONNECT, TEMPORARY ON DATABASE :"DBNAME" TO nexus_app;
COMMIT;
