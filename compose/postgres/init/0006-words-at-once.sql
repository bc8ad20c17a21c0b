-- Words and tags go into their indexes with the row. By default GIN first puts them on a list, which it sorts in later, and every
-- search reads that list from its beginning to its end: after some thousand episodes a search by words took several times as long.
-- (PostgreSQL manual, "GIN Fast Update Technique".)
BEGIN;
SELECT pg_catalog.pg_advisory_xact_lock(pg_catalog.hashtext('nexus migrations')) \g /dev/null
SELECT NOT EXISTS (SELECT FROM nexus_memory.migrations WHERE version = 6) AS needed \gset
\if :needed
ALTER INDEX nexus_memory.zep_tags SET (fastupdate = off);
ALTER INDEX nexus_memory.zep_words SET (fastupdate = off);
SELECT pg_catalog.gin_clean_pending_list('nexus_memory.zep_tags'), pg_catalog.gin_clean_pending_list('nexus_memory.zep_words') \g /dev/null
INSERT INTO nexus_memory.migrations (version, name) VALUES (6, 'words-at-once');
\endif
COMMIT;
