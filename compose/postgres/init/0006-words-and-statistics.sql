-- Two settings of the episodes' table that differ from the server's defaults.
BEGIN;
LOCK TABLE nexus_memory.migrations IN SHARE ROW EXCLUSIVE MODE;
SELECT NOT EXISTS (SELECT FROM nexus_memory.migrations WHERE version = 6) AS needed \gset
\if :needed

-- Words and tags go into their indexes at once. By default GIN first adds them to a pending list, which every search reads to its
-- end: after a few thousand new episodes a search by words took several times as long. (PostgreSQL manual, "GIN Fast Update
-- Technique".)
ALTER INDEX nexus_memory.zep_tags SET (fastupdate = off);
ALTER INDEX nexus_memory.zep_words SET (fastupdate = off);
SELECT pg_catalog.gin_clean_pending_list('nexus_memory.zep_tags'), pg_catalog.gin_clean_pending_list('nexus_memory.zep_words') \g /dev/null

-- No plan needs statistics of vectors: each ANALYZE sorted about ten thousand of them, to keep a hundred.
ALTER TABLE nexus_memory.zep_episodic_memory ALTER COLUMN embedding SET STATISTICS 0;

INSERT INTO nexus_memory.migrations (version, name) VALUES (6, 'words-and-statistics');
\endif
COMMIT;
