-- Thirty tables that other sessions change, and the table `truth` with the content of each. The transaction that changes a table also
-- writes `truth`, which is never truncated or rewritten. So a snapshot of `truth` shows what the tables held in that snapshot, even if
-- one of them was truncated or rewritten since, and its rows are no longer visible in the snapshot.
CREATE TABLE truth (name text PRIMARY KEY, rows bigint, digest text);

-- Returns the SHA-256 of the rows as COPY (FORMAT binary) writes them, sorted.
CREATE FUNCTION digest_of(t regclass, OUT rows bigint, OUT digest text) STRICT LANGUAGE plpgsql AS $$
DECLARE fields text; many bigint;
BEGIN
	SELECT string_agg(format('CASE WHEN %1$I IS NULL THEN int4send(-1) ELSE int4send(octet_length(%2$s(%1$I))) || %2$s(%1$I) END', attname, typsend),
			' || ' ORDER BY attnum), count(*)
		INTO fields, many FROM pg_attribute JOIN pg_type y ON y.oid = atttypid
		WHERE attrelid = t AND attnum > 0 AND NOT attisdropped AND attgenerated = '';
	EXECUTE format('SELECT count(*), encode(sha256(coalesce(string_agg(r, %L::bytea ORDER BY r), %L::bytea)), %L) FROM (SELECT int2send(%s::smallint) || %s AS r FROM ONLY %s) x',
		'', '', 'hex', many, fields, t) INTO rows, digest;
END $$;

-- Runs at the end of a transaction that has changed these tables, and has locked their rows of `truth` at its beginning.
CREATE FUNCTION note(VARIADIC names text[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE one text;
BEGIN
	FOREACH one IN ARRAY names LOOP
		IF to_regclass(one) IS NULL THEN
			UPDATE truth SET rows = NULL, digest = NULL WHERE name = one;
		ELSE
			UPDATE truth SET (rows, digest) = (SELECT d.rows, d.digest FROM digest_of(one::regclass) d) WHERE name = one;
		END IF;
	END LOOP;
END $$;

CREATE TYPE mood AS ENUM ('calm', 'glad');
CREATE SEQUENCE turns MAXVALUE 1000 CYCLE;

-- t00 to t19 change in every way, t20 to t27 are partitions, t28 is under a materialized view; t29 only grows.
CREATE TABLE parted (id bigint NOT NULL, n integer, mood mood, text text) PARTITION BY RANGE (id);
DO $$
BEGIN
	FOR i IN 0..29 LOOP
		EXECUTE format('CREATE TABLE %I (id bigint NOT NULL, n integer, mood mood, text text)', 't' || to_char(i, 'FM00'));
		EXECUTE format('INSERT INTO %I SELECT %s * 1000000 + j, j, %L, repeat(md5(j::text), 1 + j %% 4) FROM generate_series(1, %s) j', 't' || to_char(i, 'FM00'), i, 'calm', 20 + i * 7);
		EXECUTE format('CREATE INDEX ON %I (id)', 't' || to_char(i, 'FM00'));
		IF i BETWEEN 20 AND 27 THEN
			EXECUTE format('ALTER TABLE parted ATTACH PARTITION %I FOR VALUES FROM (%s) TO (%s)', 't' || to_char(i, 'FM00'), i * 1000000, (i + 1) * 1000000);
		END IF;
		INSERT INTO truth VALUES ('t' || to_char(i, 'FM00'));
	END LOOP;
END $$;
CREATE MATERIALIZED VIEW seen AS SELECT id, n FROM t28;
CREATE UNIQUE INDEX ON seen (id, n);
SELECT note(VARIADIC (SELECT array_agg(name ORDER BY name) FROM truth));
