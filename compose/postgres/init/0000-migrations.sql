-- Records which of the numbered files here have been applied to this database.
-- The others lock this table, so that each is applied once. Not an advisory lock: programs may take any of those, but not lock
-- this table.
BEGIN;
-- The owner of a schema can rename it and put another one in its place, whose code this superuser and others would call.
DO $$
DECLARE
    former text := (SELECT r.rolname FROM pg_namespace n JOIN pg_roles r ON r.oid = n.nspowner
        WHERE n.nspname = 'nexus_memory' AND NOT r.rolsuper);
BEGIN
    IF former IS NOT NULL THEN
        EXECUTE format('ALTER SCHEMA nexus_memory OWNER TO %I', current_user);
        EXECUTE format('GRANT ALL ON SCHEMA nexus_memory TO %I', former);
        RAISE WARNING 'nexus: schema nexus_memory belongs to a superuser now; its former owner keeps all privileges on it';
    END IF;
    IF EXISTS (SELECT FROM pg_class c JOIN pg_roles r ON r.oid = c.relowner
        WHERE c.relnamespace = to_regnamespace('nexus_memory') AND c.relname = 'migrations' AND (c.relkind <> 'r' OR NOT r.rolsuper)) THEN
        RAISE EXCEPTION 'nexus: nexus_memory.migrations is not a table of a superuser. Rename it, then: systemctl start nexus-stack';
    END IF;
    -- CREATE OR REPLACE keeps the owner, who could change the function later: an index and a trigger of a superuser call these.
    IF EXISTS (SELECT FROM pg_proc p JOIN pg_roles r ON r.oid = p.proowner WHERE p.pronamespace = to_regnamespace('nexus_memory')
        AND p.proname IN ('episode_words', 'episode_query', 'queue_embedding') AND NOT r.rolsuper) THEN
        RAISE EXCEPTION 'nexus: a function episode_words, episode_query or queue_embedding in schema nexus_memory is not a superuser''s. Rename it, then: systemctl start nexus-stack';
    END IF;
END $$;
CREATE SCHEMA IF NOT EXISTS nexus_memory;
CREATE TABLE IF NOT EXISTS nexus_memory.migrations (
    version    integer     PRIMARY KEY,
    name       text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE nexus_memory.migrations IS 'Files of compose/postgres/init applied to this database';
COMMIT;
