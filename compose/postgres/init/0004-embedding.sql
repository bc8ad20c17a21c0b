-- The queue of episodes without a vector. A trigger fills it, so it misses none, whichever program stores the episode.
BEGIN;
LOCK TABLE nexus_memory.migrations IN SHARE ROW EXCLUSIVE MODE;

-- The role that writes vectors: a state, asserted at every start, like that of 0001-role.sql. migrate.sh sets its password.
SELECT NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'nexus_embed') AS missing \gset
\if :missing
    CREATE ROLE nexus_embed;
\endif
-- It works for all agents, but without BYPASSRLS, which would apply to every table of every database of the server.
-- The policies below show it the rows of two tables, and grants limit it to the columns that it needs.
SELECT NOT (rolcanlogin AND NOT (rolsuper OR rolcreatedb OR rolcreaterole OR rolinherit OR rolreplication OR rolbypassrls)
    AND pg_catalog.has_database_privilege('nexus_embed', :'DBNAME', 'CONNECT')) AS differs
FROM pg_catalog.pg_roles WHERE rolname = 'nexus_embed' \gset
\if :differs
    ALTER ROLE nexus_embed LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION NOBYPASSRLS;
    GRANT CONNECT ON DATABASE :"DBNAME" TO nexus_embed;
\endif

SELECT NOT EXISTS (SELECT FROM nexus_memory.migrations WHERE version = 4) AS needed \gset
\if :needed

CREATE TABLE nexus_memory.embedding_queue (
    episode_id  uuid        PRIMARY KEY REFERENCES nexus_memory.zep_episodic_memory ON DELETE CASCADE ON UPDATE CASCADE,
    agent_id    text        NOT NULL,
    state       text        NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'failed')),
    attempts    integer     NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    last_error  text,
    queued_at   timestamptz NOT NULL DEFAULT now(),
    next_try_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX embedding_queue_next ON nexus_memory.embedding_queue (next_try_at) WHERE state = 'waiting';
CREATE INDEX embedding_queue_agent ON nexus_memory.embedding_queue (agent_id);
COMMENT ON TABLE nexus_memory.embedding_queue IS 'Episodes that wait for their vector, kept by a trigger; nexus-embed --backfill works it off';
COMMENT ON COLUMN nexus_memory.embedding_queue.state IS 'waiting, or failed: tried often enough, and left to a person';
COMMENT ON COLUMN nexus_memory.embedding_queue.next_try_at IS 'Not to be tried before';

-- Queues an episode without a vector, or whose text has changed while its vector stayed, and removes one that has got its
-- vector. SECURITY DEFINER: programs may read the queue, but not write it.
CREATE FUNCTION nexus_memory.queue_embedding() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS
$$
BEGIN
    IF NEW.embedding IS NULL OR (TG_OP = 'UPDATE' AND NEW.content IS DISTINCT FROM OLD.content
            AND (NEW.embedding OPERATOR(public.=) OLD.embedding) IS TRUE) THEN
        INSERT INTO nexus_memory.embedding_queue AS waiting (episode_id, agent_id) VALUES (NEW.episode_id, NEW.agent_id)
            ON CONFLICT (episode_id) DO UPDATE
            SET agent_id = excluded.agent_id, state = 'waiting', attempts = 0, last_error = NULL, next_try_at = now();
    ELSE
        DELETE FROM nexus_memory.embedding_queue WHERE episode_id = NEW.episode_id;
    END IF;
    RETURN NULL;
END
$$;
COMMENT ON FUNCTION nexus_memory.queue_embedding IS 'Trigger: keeps embedding_queue';
-- Nobody may use it as a trigger of their own tables.
REVOKE ALL ON FUNCTION nexus_memory.queue_embedding FROM PUBLIC;

CREATE TRIGGER queue_embedding_insert AFTER INSERT ON nexus_memory.zep_episodic_memory
    FOR EACH ROW WHEN (NEW.embedding IS NULL) EXECUTE FUNCTION nexus_memory.queue_embedding();
CREATE TRIGGER queue_embedding_update AFTER UPDATE OF content, embedding, agent_id ON nexus_memory.zep_episodic_memory
    FOR EACH ROW EXECUTE FUNCTION nexus_memory.queue_embedding();

INSERT INTO nexus_memory.embedding_queue (episode_id, agent_id)
    SELECT episode_id, agent_id FROM nexus_memory.zep_episodic_memory WHERE embedding IS NULL;

ALTER TABLE nexus_memory.embedding_queue ENABLE ROW LEVEL SECURITY;
ALTER TABLE nexus_memory.embedding_queue FORCE ROW LEVEL SECURITY;
CREATE POLICY own_agent ON nexus_memory.embedding_queue FOR SELECT
    USING (agent_id = current_setting('nexus.agent_id', true));
CREATE POLICY every_agent ON nexus_memory.embedding_queue TO nexus_embed USING (true) WITH CHECK (true);
CREATE POLICY every_agent ON nexus_memory.zep_episodic_memory TO nexus_embed USING (true) WITH CHECK (true);

GRANT SELECT ON nexus_memory.embedding_queue TO nexus_app;
GRANT USAGE ON SCHEMA nexus_memory TO nexus_embed;
GRANT SELECT, INSERT, UPDATE ON nexus_memory.embedding_queue TO nexus_embed;
GRANT SELECT (episode_id, agent_id, content, embedding, embedding_version), UPDATE (embedding, embedding_version)
    ON nexus_memory.zep_episodic_memory TO nexus_embed;

INSERT INTO nexus_memory.migrations (version, name) VALUES (4, 'embedding');
\endif
COMMIT;
