-- The trigger of 0004 runs as a superuser, and compared vectors by the operator of that name in schema public. The owner of that schema
-- could put another operator in its place. The text of a vector needs none.
BEGIN;
LOCK TABLE nexus_memory.migrations IN SHARE ROW EXCLUSIVE MODE;
SELECT NOT EXISTS (SELECT FROM nexus_memory.migrations WHERE version = 7) AS needed \gset
\if :needed

CREATE OR REPLACE FUNCTION nexus_memory.queue_embedding() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS
$$
BEGIN
    IF NEW.embedding IS NULL OR (TG_OP = 'UPDATE' AND NEW.content IS DISTINCT FROM OLD.content
            AND NEW.embedding::pg_catalog.text = OLD.embedding::pg_catalog.text) THEN
        INSERT INTO nexus_memory.embedding_queue AS waiting (episode_id, agent_id) VALUES (NEW.episode_id, NEW.agent_id)
            ON CONFLICT (episode_id) DO UPDATE
            SET agent_id = excluded.agent_id, state = 'waiting', attempts = 0, last_error = NULL, next_try_at = now();
    ELSE
        DELETE FROM nexus_memory.embedding_queue WHERE episode_id = NEW.episode_id;
    END IF;
    RETURN NULL;
END
$$;

INSERT INTO nexus_memory.migrations (version, name) VALUES (7, 'compare-as-text');
\endif
COMMIT;
