-- Under row-level security PostgreSQL uses an index only for operators whose functions are marked LEAKPROOF. It applies
-- others only after the policy, row by row, so every search by word or tag would read the whole table (CREATE POLICY,
-- section Notes). These three only compare their arguments: they print nothing and their errors quote nothing. A dump does
-- not contain this mark of a built-in function, so this too is a state, asserted at every start.
-- Alters only what differs, as 0001-role.sql does.
BEGIN;
SELECT pg_catalog.format('ALTER FUNCTION %s LEAKPROOF', p.oid::pg_catalog.regprocedure) FROM pg_catalog.pg_proc p
WHERE NOT p.proleakproof AND p.oid IN ('pg_catalog.ts_match_vq(tsvector, tsquery)'::pg_catalog.regprocedure,
    'pg_catalog.arraycontains(anyarray, anyarray)'::pg_catalog.regprocedure,
    'pg_catalog.arrayoverlap(anyarray, anyarray)'::pg_catalog.regprocedure) \gexec
COMMIT;
