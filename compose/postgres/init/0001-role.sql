-- The role for programs. Not a numbered step but a state, asserted at every start: a role belongs to the server, and a
-- database's grants to the database, so either may be new while the other is not (a restored database, a new server).
-- It changes only what differs: a change waits for every session that has changed the same and not committed, and any role may
-- alter its own settings, and GRANT to itself what it has.
BEGIN;
SET LOCAL lock_timeout = '30s';
SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'nexus_app') AS missing \gset
\if :missing
    -- migrate.sh sets its password; until then it has none and cannot log in.
    CREATE ROLE nexus_app;
\endif
SELECT NOT (rolcanlogin AND NOT (rolsuper OR rolcreatedb OR rolcreaterole OR rolinherit OR rolreplication OR rolbypassrls)) AS differs
FROM pg_catalog.pg_roles WHERE rolname = 'nexus_app' \gset
\if :differs
    ALTER ROLE nexus_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION NOBYPASSRLS;
\endif

SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
    WHERE r.rolname = 'nexus_app' AND s.setdatabase = 0
        AND s.setconfig @> '{nexus.agent_id=nexus,hnsw.iterative_scan=relaxed_order}') AS differs \gset
\if :differs

-- Row-level security shows the rows of the agent named here. Programs without agents are the agent `nexus`.
-- Others run SET nexus.agent_id = '…' when they connect. An empty value sees nothing.
ALTER ROLE nexus_app SET nexus.agent_id = 'nexus';
-- A vector index ignores agents: it finds the nearest rows of all agents, and PostgreSQL then drops those of others.
-- With this setting, pgvector (0.8 and later) searches until enough rows are left. An agent with 1 % of 20,000 random vectors
-- asked for its nearest 10. It got 0.35 rows without the setting, 10 rows (52 % of them right) with strict_order, and 10 rows
-- (87 % right) with relaxed_order, which may swap neighbours of nearly the same distance.
ALTER ROLE nexus_app SET hnsw.iterative_scan = 'relaxed_order';
\endif

-- No role needs `postgres` and `template1`: a session there could hold the lock of nexus-restore, or prevent the creation of databases.
-- For a role that does need one: GRANT CONNECT ON DATABASE postgres TO …
SELECT pg_catalog.format('REVOKE ALL ON DATABASE %I FROM PUBLIC', d.datname) FROM pg_catalog.pg_database d
WHERE d.datname IN (:'DBNAME', 'postgres', 'template1') AND EXISTS
    (SELECT FROM pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) a WHERE a.grantee = 0) \gexec
SELECT NOT (pg_catalog.has_database_privilege('nexus_app', :'DBNAME', 'CONNECT')
    AND pg_catalog.has_database_privilege('nexus_app', :'DBNAME', 'TEMPORARY')) AS differs \gset
\if :differs
    GRANT CONNECT, TEMPORARY ON DATABASE :"DBNAME" TO nexus_app;
\endif
COMMIT;
