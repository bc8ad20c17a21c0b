-- For the API: idempotency keys, which make a retry safe, and indexes for its counts.
BEGIN;
LOCK TABLE nexus_memory.migrations IN SHARE ROW EXCLUSIVE MODE;
SELECT NOT EXISTS (SELECT FROM nexus_memory.migrations WHERE version = 5) AS needed \gset
\if :needed

-- The Idempotency-Key of a request, written in the transaction that stores its episodes. It has the request's SHA-256, no text.
CREATE TABLE nexus_memory.api_idempotency (
    agent_id    text        NOT NULL DEFAULT current_setting('nexus.agent_id'),
    key         text        NOT NULL,
    fingerprint bytea       NOT NULL,
    episode_ids uuid[]      NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (agent_id, key)
);
CREATE INDEX api_idempotency_age ON nexus_memory.api_idempotency (agent_id, created_at);
COMMENT ON TABLE nexus_memory.api_idempotency IS 'Keys of requests that stored episodes; nexus-api removes them after 24 hours';

ALTER TABLE nexus_memory.api_idempotency ENABLE ROW LEVEL SECURITY;
ALTER TABLE nexus_memory.api_idempotency FORCE ROW LEVEL SECURITY;
CREATE POLICY own_agent ON nexus_memory.api_idempotency
    USING (agent_id = current_setting('nexus.agent_id', true))
    WITH CHECK (agent_id = current_setting('nexus.agent_id', true));
GRANT SELECT, INSERT, DELETE ON nexus_memory.api_idempotency TO nexus_app;

-- Counts the few episodes without a vector; without it, a count would read all vectors.
CREATE INDEX IF NOT EXISTS zep_without_embedding ON nexus_memory.zep_episodic_memory (agent_id) WHERE embedding IS NULL;

-- For a search among the episodes of a rare type.
CREATE INDEX IF NOT EXISTS zep_type ON nexus_memory.zep_episodic_memory ((metadata ->> 'action_type'));

INSERT INTO nexus_memory.migrations (version, name) VALUES (5, 'api');
\endif

-- As in 0003-index-use.sql: without this mark, no search under row-level security uses the index on the type. The function
-- returns a member of an object or NULL, and fails for no value. A state, too.
SELECT NOT proleakproof AS differs FROM pg_catalog.pg_proc
WHERE oid = 'pg_catalog.jsonb_object_field_text(jsonb, text)'::pg_catalog.regprocedure \gset
\if :differs
    ALTER FUNCTION pg_catalog.jsonb_object_field_text(jsonb, text) LEAKPROOF;
\endif
COMMIT;
