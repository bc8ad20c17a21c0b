-- User-defined types, and arrays, domains, ranges and composites of them.
CREATE TYPE torture.mood AS ENUM ('sad', 'it''s "ok"', 'happy, very', '', E'back\\slash', 'größe');
ALTER TYPE torture.mood ADD VALUE 'between' BEFORE 'happy, very';
CREATE DOMAIN torture.positive AS int CHECK (VALUE > 0);
CREATE DOMAIN torture.small AS torture.positive DEFAULT 3 CONSTRAINT "less than ten" CHECK (VALUE < 10);
CREATE DOMAIN torture.moods AS torture.mood[] CHECK (array_length(VALUE, 1) < 5);
CREATE DOMAIN torture.tags AS text[] NOT NULL DEFAULT '{}';
CREATE TYPE torture.pair AS (a int, "b, ""c""" text, d torture.mood);
CREATE TYPE torture.nested AS (one torture.pair, many torture.pair[], r int4range);
ALTER TYPE torture.pair DROP ATTRIBUTE a, ADD ATTRIBUTE e numeric(5, 2);
CREATE DOMAIN torture.good_pair AS torture.pair CHECK ((VALUE).e IS NULL OR (VALUE).e >= 0);
CREATE TYPE torture.text_range AS RANGE (subtype = text, collation = "C");
CREATE TYPE torture.float_range AS RANGE (subtype = float8, subtype_diff = float8mi, multirange_type_name = torture.float_ranges);
CREATE TYPE torture.shell;
COMMENT ON TYPE torture.mood IS 'how it is';

CREATE TABLE torture.of_own_types (
  id int PRIMARY KEY, m torture.mood, ms torture.mood[], dms torture.moods, p torture.positive, s torture.small, ss torture.small[], t torture.tags,
  c torture.pair, cs torture.pair[], n torture.nested, g torture.good_pair, tr torture.text_range, trs torture.text_range[], fr torture.float_range, frs torture.float_ranges, whole_row torture.numbers
);
INSERT INTO torture.of_own_types VALUES
  (1, 'it''s "ok"', ARRAY['', 'happy, very', NULL, E'back\\slash']::torture.mood[], ARRAY['größe']::torture.mood[], 1, 9, ARRAY[1, 2]::torture.small[], ARRAY['a', NULL, '"', E'\t'],
   ROW(E'b, "c"\n\\', 'between', 1.25), ARRAY[ROW('(', 'sad', NULL), ROW(NULL, NULL, NULL), NULL]::torture.pair[],
   ROW(ROW('x', 'sad', 1), ARRAY[ROW('y,(")', '', 2)]::torture.pair[], '[1,5)'), ROW('z', NULL, 0), '[a,"b,""")', ARRAY['empty', '(,)']::torture.text_range[], '[-0,NaN]', '{[1,2),[3,Infinity]}',
   (SELECT n FROM torture.numbers n WHERE id = 2)),
  (2, NULL, NULL, NULL, NULL, NULL, NULL, '{}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (3, '', '{}', '{}', 5, DEFAULT, '{}', DEFAULT, ROW(NULL, NULL, NULL), '{}', ROW(NULL, NULL, NULL), ROW(NULL, NULL, NULL), 'empty', '{}', 'empty', '{}', NULL);

-- A text larger than any buffer, in binary form and, beside an array of enums, in text form.
CREATE TABLE torture.large (id int PRIMARY KEY, t text);
ALTER TABLE torture.large ALTER t SET STORAGE EXTERNAL;
INSERT INTO torture.large SELECT 1, string_agg(md5(i::text), '') FROM generate_series(1, 3276800) i;
INSERT INTO torture.large VALUES (2, 'after the large one'), (3, NULL);
CREATE TABLE torture.large_as_text (t text, m torture.mood[], b bytea);
INSERT INTO torture.large_as_text
  SELECT string_agg(md5(i::text) || E'\n\\', ''), '{sad}', decode(string_agg(md5(i::text), ''), 'hex') FROM generate_series(1, 500000) i;
