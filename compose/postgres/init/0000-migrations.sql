-- Records which of the numbered files here have been applied to this database.
-- The others lock this table, so that each is applied once. Not an advisory lock: programs may take any of those, but not lock
-- this table.
BEGIN;
CREATE SCHEMA IF NOT EXISTS nexus_memory;
CREATE TABLE IF NOT EXISTS nexus_memory.migrations (
    version    integer     PRIMARY KEY,
    name       text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE nexus_memory.migrations IS 'Files of compose/postgres/init applied to this database';
COMMIT;
