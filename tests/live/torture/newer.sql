-- Features that are newer than PostgreSQL 15.
\if :is_16
CREATE TABLE torture.stored_plainly (t text STORAGE EXTERNAL COMPRESSION pglz);
INSERT INTO torture.stored_plainly VALUES (repeat('x', 10000));
\endif
\if :is_17
CREATE TABLE torture.endless (i interval); INSERT INTO torture.endless VALUES ('infinity'), ('-infinity');
CREATE TABLE torture.identity_parts (id bigint GENERATED ALWAYS AS IDENTITY, at int) PARTITION BY RANGE (at);
CREATE TABLE torture.identity_parts_1 PARTITION OF torture.identity_parts FOR VALUES FROM (0) TO (100);
INSERT INTO torture.identity_parts (at) SELECT generate_series(0, 99);
-- Runs in every new session, also in those that back up and compare.
CREATE FUNCTION torture.on_login() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO torture.log (t) VALUES ('login'); END $$;
CREATE EVENT TRIGGER torture_login ON login EXECUTE FUNCTION torture.on_login();
ALTER EVENT TRIGGER torture_login ENABLE ALWAYS;
\endif
\if :is_18
CREATE TABLE torture.virtual (a int, v int GENERATED ALWAYS AS (a * 3) VIRTUAL, w text GENERATED ALWAYS AS ('w' || a), b text);
INSERT INTO torture.virtual (a, b) SELECT i, 'b' FROM generate_series(1, 100) i;
CREATE TABLE torture.only_virtual (v int GENERATED ALWAYS AS (1 + 1) VIRTUAL);
INSERT INTO torture.only_virtual DEFAULT VALUES;
CREATE TABLE torture.not_enforced (a int CHECK (a > 0) NOT ENFORCED, b int REFERENCES torture.hen NOT ENFORCED, c int);
INSERT INTO torture.not_enforced VALUES (-1, 4711, NULL);
ALTER TABLE torture.not_enforced ADD CONSTRAINT "not null, not yet" NOT NULL c NOT VALID;
CREATE TABLE torture.temporal (id int, during daterange, PRIMARY KEY (id, during WITHOUT OVERLAPS));
INSERT INTO torture.temporal VALUES (1, '[2000-01-01,2001-01-01)'), (1, '[2001-01-01,2002-01-01)');
CREATE TABLE torture.temporal_child (id int, during daterange, FOREIGN KEY (id, PERIOD during) REFERENCES torture.temporal (id, PERIOD during));
INSERT INTO torture.temporal_child VALUES (1, '[2000-06-01,2001-06-01)');
\endif
