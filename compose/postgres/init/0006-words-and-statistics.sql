-- Two settings of the episodes' table that were the server's own until now.
BEGIN;
LOCK TABLE nexus_memory.migrations IN SHARE ROW EXCLUSIVE MODE;
SELECT NOT EXISTS (SELECT FROM nexus_memory.migrations WHERE version = 6) AS needed \gset
\if :needed

-- Words and tags go into their indexes with the row. By default GIN first puts them on a list, which it sorts in later, and every
-- search reads that list from its beginning to its end: after some thousand episodes a search by words took several times as long.
-- (PostgreSQL manual, "GIN Fast Update Technique".)
ALTER INDEX nexus_memory.zep_tags SET (fastupdate = off);
ALTER INDEX nexus_memory.zep_words SET (fastupdate = off);
SELECT pg_catalog.gin_clean_pending_list('nexus_memory.zep_tags'), pg_catalog.gin_clean_pending_list('nexus_memory.zep_words') \g /dev/null

-- Which vectors are frequent helps no plan: an ANALYZE sorted some ten thousand of them, and kept a hundred.
ALTER TABLE nexus_memory.zep_episodic_memory ALTER COLUMN embedding SET STATISTICS 0;

INSERT INTO nexus_memory.migrations (version, name) VALUES (6, 'words-and-statistics');
\endif
COMMIT;
