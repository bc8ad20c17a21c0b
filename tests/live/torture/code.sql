-- Everything except rows: functions, views, triggers, rules, policies, grants, comments, and all the smaller kinds of objects.
CREATE FUNCTION torture.add(a int, b int DEFAULT 2) RETURNS int LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE RETURN a + b;
CREATE FUNCTION torture."odd $name$"(VARIADIC a text[], OUT x text, OUT y int) RETURNS SETOF record LANGUAGE plpgsql SECURITY DEFINER SET search_path = torture, pg_temp SET work_mem = '5MB' COST 5 ROWS 7
  AS $fn$ BEGIN x := $$;'"\$$ || array_length(a, 1); y := 1; RETURN NEXT; END $fn$;
CREATE PROCEDURE torture.nothing(INOUT a int) LANGUAGE plpgsql AS $$ BEGIN a := a + 1; END $$;
CREATE FUNCTION torture.last_of(state int, value int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT coalesce(value, state)';
CREATE AGGREGATE torture.last(int) (SFUNC = torture.last_of, STYPE = int, INITCOND = '0');
CREATE OPERATOR torture.|+| (FUNCTION = torture.add, LEFTARG = int, RIGHTARG = int, COMMUTATOR = OPERATOR(torture.|+|));
CREATE FUNCTION torture.mood_number(torture.mood) RETURNS int LANGUAGE sql IMMUTABLE AS $$ SELECT length($1::text) $$;
CREATE CAST (torture.mood AS int) WITH FUNCTION torture.mood_number(torture.mood) AS ASSIGNMENT;
CREATE COLLATION torture.plain FROM "C";
CREATE TEXT SEARCH DICTIONARY torture.dictionary (TEMPLATE = simple, STOPWORDS = spanish);
CREATE TEXT SEARCH CONFIGURATION torture.searching (COPY = pg_catalog.spanish);
ALTER TEXT SEARCH CONFIGURATION torture.searching ALTER MAPPING FOR asciiword WITH torture.dictionary, spanish_stem;
CREATE CONVERSION torture.converting FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE OPERATOR FAMILY torture.family USING btree;
CREATE OPERATOR CLASS torture.class FOR TYPE int USING btree FAMILY torture.family AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 btint4cmp(int, int);
CREATE INDEX ON torture.dropped (a torture.class);

CREATE VIEW torture."view, of all" WITH (security_barrier) AS SELECT g.*, torture.add(a) AS three FROM torture.generated g WHERE a > 5 WITH LOCAL CHECK OPTION;
ALTER VIEW torture."view, of all" ALTER last SET DEFAULT 'of view';
CREATE RECURSIVE VIEW torture.counting (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM counting WHERE n < 5;
-- Two views whose rules refer to each other, added after both exist.
CREATE VIEW torture.one AS SELECT 1 AS a; CREATE VIEW torture.two AS SELECT a FROM torture.one; CREATE OR REPLACE VIEW torture.one AS SELECT 2 AS a;
CREATE MATERIALIZED VIEW torture.materialized AS SELECT kind, count(*) AS n, max(note) AS note FROM torture.by_range GROUP BY kind;
CREATE UNIQUE INDEX ON torture.materialized (kind);
CREATE MATERIALIZED VIEW torture.materialized_of_it AS SELECT sum(n) AS n FROM torture.materialized;
CREATE MATERIALIZED VIEW torture.materialized_empty AS SELECT 1 AS a WITH NO DATA;

CREATE TABLE torture.log (id serial, t text);
CREATE FUNCTION torture.log() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO torture.log (t) VALUES (TG_NAME || ' ' || TG_OP); RETURN coalesce(NEW, OLD); END $$;
CREATE TRIGGER "on insert" BEFORE INSERT OR UPDATE OF a ON torture.empty FOR EACH ROW WHEN (NEW.a > 0) EXECUTE FUNCTION torture.log();
CREATE TRIGGER always AFTER TRUNCATE OR INSERT ON torture.scattered FOR EACH STATEMENT EXECUTE FUNCTION torture.log('arg''ument', E'\\');
ALTER TABLE torture.scattered ENABLE ALWAYS TRIGGER always;
CREATE TRIGGER off AFTER INSERT ON torture.duplicates FOR EACH ROW EXECUTE FUNCTION torture.log();
ALTER TABLE torture.duplicates DISABLE TRIGGER off;
CREATE TRIGGER with_tables AFTER INSERT ON torture.by_range REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION torture.log();
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON torture.parent DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION torture.log();
CREATE TRIGGER instead INSTEAD OF DELETE ON torture."view, of all" FOR EACH ROW EXECUTE FUNCTION torture.log();
CREATE FUNCTION torture.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO torture.log (t) VALUES (TG_TAG); END $$;
CREATE EVENT TRIGGER torture_ddl ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'ALTER TABLE', 'CREATE INDEX') EXECUTE FUNCTION torture.on_ddl();

CREATE RULE "instead of insert" AS ON INSERT TO torture.other_parent DO INSTEAD NOTHING;
CREATE RULE also AS ON UPDATE TO torture.duplicates WHERE OLD.a <> NEW.a DO ALSO INSERT INTO torture.log (t) VALUES ('rule');

-- Forced row-level security on a table whose owner is not a superuser: a dump that obeys it would be empty.
CREATE TABLE torture.secret (id int, who text DEFAULT current_user, t text);
INSERT INTO torture.secret SELECT i, 'nobody', 'hidden ' || i FROM generate_series(1, 100) i;
ALTER TABLE torture.secret OWNER TO torture_owner;
ALTER TABLE torture.secret ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY mine ON torture.secret USING (who = current_user) WITH CHECK (who = current_user);
CREATE POLICY "read, some" ON torture.secret AS RESTRICTIVE FOR SELECT TO torture_reader, "torture Rôle, with ""quotes""; and 'more'" USING (id < 50 AND t <> E'\\;');
-- Moves the role behind the other one in the catalog: pg_dump names the policy's roles in that order.
ALTER ROLE torture_reader NOINHERIT;
ALTER ROLE torture_reader INHERIT;

GRANT USAGE ON SCHEMA torture TO torture_reader, PUBLIC;
GRANT CREATE ON SCHEMA torture TO torture_owner WITH GRANT OPTION;
GRANT SELECT, INSERT (a, last), UPDATE (a) ON torture.generated TO torture_reader WITH GRANT OPTION;
GRANT SELECT ("üñí🧠") ON "Schema, with ""quotes"". and dots"."ta""ble. 'one' \ two" TO "torture Rôle, with ""quotes""; and 'more'";
GRANT ALL ON ALL SEQUENCES IN SCHEMA torture TO torture_reader;
REVOKE ALL ON FUNCTION torture.add FROM PUBLIC;
GRANT EXECUTE ON FUNCTION torture.add TO torture_reader;
REVOKE USAGE ON TYPE torture.mood FROM PUBLIC;
REVOKE ALL ON TABLE torture.empty FROM postgres;
ALTER DEFAULT PRIVILEGES FOR ROLE torture_owner IN SCHEMA torture GRANT SELECT ON TABLES TO torture_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE torture_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER FUNCTION torture.add OWNER TO torture_owner;
ALTER SCHEMA "*" OWNER TO torture_owner;
ALTER TABLE "*"."UPPER" OWNER TO torture_login;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
COMMENT ON TABLE torture.generated IS E'a comment;\n-- with \\ "everything" \'quoted\'\n\\. $$';
COMMENT ON COLUMN torture.generated."Stored, too" IS 'computed';
COMMENT ON CONSTRAINT "not met" ON torture.constrained IS 'not met';
COMMENT ON TRIGGER off ON torture.duplicates IS 'off';
COMMENT ON POLICY mine ON torture.secret IS 'mine';
COMMENT ON INDEX torture."unique, lower" IS 'lower';

-- Large objects: empty, small, several pages with a hole, with an owner, with a grant, with a comment.
SELECT lo_create(4200001), lo_from_bytea(4200002, 'small'), lo_from_bytea(4200003, decode(repeat('00ff5c0a', 1500000), 'hex')), lo_from_bytea(4200004, 'head'), lo_from_bytea(4200005, '');
SELECT lo_put(4200004, 3000000, 'after a hole');
ALTER LARGE OBJECT 4200002 OWNER TO torture_owner;
GRANT SELECT ON LARGE OBJECT 4200002 TO torture_reader;
COMMENT ON LARGE OBJECT 4200003 IS 'large';

CREATE PUBLICATION torture_all FOR ALL TABLES;
CREATE PUBLICATION torture_some FOR TABLE torture.generated (id, a) WHERE (id > 3) WITH (publish = 'insert');
CREATE SUBSCRIPTION torture_subscription CONNECTION 'dbname=nowhere' PUBLICATION p WITH (connect = false, enabled = false, slot_name = NONE);
