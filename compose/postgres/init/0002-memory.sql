-- Episodes. The columns are those of existing NEXUS programs, plus agent_id. If such a program has already created the table,
-- this adds the missing columns and keeps its rows.
BEGIN;
LOCK TABLE nexus_memory.migrations IN SHARE ROW EXCLUSIVE MODE;
SELECT NOT EXISTS (SELECT FROM nexus_memory.migrations WHERE version = 2) AS needed \gset
\if :needed

CREATE EXTENSION IF NOT EXISTS vector WITH SCHEMA public;

CREATE TABLE IF NOT EXISTS nexus_memory.zep_episodic_memory (
    episode_id        uuid             PRIMARY KEY DEFAULT gen_random_uuid(),
    "timestamp"       timestamptz      NOT NULL DEFAULT now(),
    content           text             NOT NULL,
    importance_score  double precision DEFAULT 0.5,
    tags              text[]           DEFAULT '{}',
    embedding         public.vector(384),
    embedding_version varchar(50),
    project_id        uuid,
    metadata          jsonb            DEFAULT '{}',
    created_at        timestamptz      NOT NULL DEFAULT now()
);
ALTER TABLE nexus_memory.zep_episodic_memory
    ADD COLUMN IF NOT EXISTS agent_id text NOT NULL DEFAULT 'nexus';

ALTER TABLE nexus_memory.zep_episodic_memory
    DROP CONSTRAINT IF EXISTS zep_importance_score_range,
    ADD CONSTRAINT zep_importance_score_range CHECK (importance_score BETWEEN 0 AND 1),
    -- The empty agent sees nothing, so it may own nothing.
    DROP CONSTRAINT IF EXISTS zep_agent_id_not_empty,
    ADD CONSTRAINT zep_agent_id_not_empty CHECK (agent_id <> '');

COMMENT ON TABLE nexus_memory.zep_episodic_memory IS 'Episodes: what NEXUS remembers, one row each';
COMMENT ON COLUMN nexus_memory.zep_episodic_memory.metadata IS 'Free form; the type of the episode is under action_type';
COMMENT ON COLUMN nexus_memory.zep_episodic_memory.agent_id IS 'Whose memory this is; row-level security compares it with the setting nexus.agent_id';

-- The words of a text, for full-text search: stemmed as Spanish, as English, and as Spanish typed without its accents.
-- Only the first 65,536 characters: a tsvector has at most 1 MiB, and long episodes must not be refused.
-- PL/pgSQL, so that the planner does not inline it; LEAKPROOF, so that it can use the index under row-level security.
CREATE OR REPLACE FUNCTION nexus_memory.episode_words(content text) RETURNS tsvector
    LANGUAGE plpgsql IMMUTABLE STRICT LEAKPROOF PARALLEL SAFE AS
$$
DECLARE
    -- Every name with its schema, types too: a temporary table of the caller may be called `text`.
    start pg_catalog.text := pg_catalog.left(content, 65536);
BEGIN
    RETURN pg_catalog.to_tsvector('pg_catalog.spanish', start)
        OPERATOR(pg_catalog.||) pg_catalog.to_tsvector('pg_catalog.english', start)
        OPERATOR(pg_catalog.||) pg_catalog.to_tsvector('pg_catalog.spanish', pg_catalog.translate(start, 'áéíóúüñÁÉÍÓÚÜÑ', 'aeiouunAEIOUUN'));
END
$$;
COMMENT ON FUNCTION nexus_memory.episode_words IS 'Words of a text for full-text search, Spanish and English; what the index holds';

-- Turns typed text into a query for those words: WHERE nexus_memory.episode_words(content) @@ nexus_memory.episode_query('…')
CREATE OR REPLACE FUNCTION nexus_memory.episode_query(typed text) RETURNS tsquery
    LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS
$$
BEGIN
    RETURN pg_catalog.websearch_to_tsquery('pg_catalog.spanish', typed)
        OPERATOR(pg_catalog.||) pg_catalog.websearch_to_tsquery('pg_catalog.english', typed)
        OPERATOR(pg_catalog.||) pg_catalog.websearch_to_tsquery('pg_catalog.spanish', pg_catalog.translate(typed, 'áéíóúüñÁÉÍÓÚÜÑ', 'aeiouunAEIOUUN'));
END
$$;
COMMENT ON FUNCTION nexus_memory.episode_query IS 'A typed search as a query for episode_words, any of its languages';

CREATE INDEX IF NOT EXISTS zep_embedding_hnsw ON nexus_memory.zep_episodic_memory
    USING hnsw (embedding public.vector_cosine_ops) WITH (m = 16, ef_construction = 64);
CREATE INDEX IF NOT EXISTS zep_timestamp ON nexus_memory.zep_episodic_memory ("timestamp");
-- Row-level security adds the agent to every query of a program, so lists of the newest episodes use this index.
CREATE INDEX IF NOT EXISTS zep_agent_timestamp ON nexus_memory.zep_episodic_memory (agent_id, "timestamp" DESC);
CREATE INDEX IF NOT EXISTS zep_tags ON nexus_memory.zep_episodic_memory USING gin (tags);
CREATE INDEX IF NOT EXISTS zep_words ON nexus_memory.zep_episodic_memory USING gin (nexus_memory.episode_words(content));

ALTER TABLE nexus_memory.zep_episodic_memory ENABLE ROW LEVEL SECURITY;
ALTER TABLE nexus_memory.zep_episodic_memory FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS own_agent ON nexus_memory.zep_episodic_memory;
CREATE POLICY own_agent ON nexus_memory.zep_episodic_memory
    USING (agent_id = current_setting('nexus.agent_id', true))
    WITH CHECK (agent_id = current_setting('nexus.agent_id', true));

GRANT USAGE ON SCHEMA nexus_memory TO nexus_app;
-- Not TRUNCATE: it ignores row-level security.
GRANT SELECT, INSERT, UPDATE, DELETE ON nexus_memory.zep_episodic_memory TO nexus_app;

INSERT INTO nexus_memory.migrations (version, name) VALUES (2, 'memory');
\endif
COMMIT;
