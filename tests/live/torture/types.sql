-- Every built-in type of a column, with its extreme values; NULL in every column.
CREATE SCHEMA torture;
COMMENT ON SCHEMA torture IS 'hard to back up';

CREATE TABLE torture.numbers (
  id int PRIMARY KEY, c_bool bool, c_int2 int2, c_int4 int4, c_int8 int8, c_float4 float4, c_float8 float8,
  c_numeric numeric, c_numeric_scaled numeric(20, 5), c_money money, c_oid oid, c_xid xid, c_xid8 xid8, c_cid cid, c_tid tid,
  c_pg_lsn pg_lsn, c_pg_snapshot pg_snapshot, c_txid_snapshot txid_snapshot, c_int2vector int2vector, c_oidvector oidvector
);
INSERT INTO torture.numbers VALUES
  (1, true, -32768, -2147483648, -9223372036854775808, '-Infinity', '-Infinity', 'NaN', -123456789012345.67891, '-92233720368547758.08',
   0, '0', '0', '0', '(0,0)', '0/0', '10:20:10,14,15', '10:20:10,14,15', '', ''),
  (2, false, 32767, 2147483647, 9223372036854775807, 'NaN', 'NaN', 'Infinity', 0.00001, '92233720368547758.07',
   4294967295, '4294967295', '18446744073709551615', '4294967295', '(4294967295,65535)', 'FFFFFFFF/FFFFFFFF', '1:1:', '1:1:', '1 -2 3', '1 4294967295'),
  (3, NULL, 0, 0, 0, '-0', '-0', '-Infinity', 0, 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (4, NULL, 1, 1, 1, 1.4e-45, 4.9e-324, repeat('9', 1000)::numeric + ('0.' || repeat('1', 1000))::numeric, NULL, NULL,
   NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
  (5, NULL, NULL, NULL, NULL, 3.4028235e38, 1.7976931348623157e308, 0.1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO torture.numbers (id) VALUES (6);

CREATE TABLE torture.texts (
  id int PRIMARY KEY, c_text text, c_varchar varchar(40), c_bpchar char(10), c_char "char", c_name name, c_bytea bytea,
  c_json json, c_jsonb jsonb, c_jsonpath jsonpath, c_xml xml, c_uuid uuid, c_bit bit(9), c_varbit varbit, c_tsvector tsvector, c_tsquery tsquery,
  c_refcursor refcursor, c_c_collated text COLLATE "C", c_posix_collated text COLLATE "POSIX"
);
INSERT INTO torture.texts VALUES
  (1, '', '', '', '', '', '', '{}', '{}', '$', '', '00000000-0000-0000-0000-000000000000', B'000000000', B'', '', '', '', '', ''),
  (2, E'\\N', E'\\.', E'a\tb', 'x', 'pg_class', '\x00ff5c0a', '{"a" : 1,  "a": [1, 2.50, null]}', '{"a": [1, 2.50, null, true, "\u00e9"]}',
   'strict $.a[*] ? (@ > 1 && exists (@.b))', '<a b="c">&lt;é</a>', 'ffffffff-ffff-ffff-ffff-ffffffffffff', B'101010101', B'1',
   $$'a:b' 'it''s':1A,2B,3C 'ü':16383$$, $$('a' & !b:*A) <-> c$$, 'cursor', 'ä', 'ß'),
  (3, E'line\nline\r\n\ttab\b\f\v', E'\\', E'\\', '"', '"quoted"', decode(repeat('5c', 300), 'hex'), '"\u0041"', '"text"', '$.**', 'just text', NULL, NULL, NULL,
   NULL, NULL, NULL, NULL, NULL),
  (4, E'\\.', E'\n\\.\n', ',";|', E'\\', 'größe', '\x', '[]', '-0.0', '$[last]', '<?xml version="1.0"?><x/>', NULL, NULL, repeat('10', 500)::varbit, NULL, NULL, NULL, NULL, NULL),
  (5, 'emoji 🧠🐘, 漢字, combining e' || U&'\0301' || ', right-to-left שלום, max ' || chr(1114111) || ', BOM ' || U&'\FEFF', NULL, NULL,
   NULL, NULL, NULL, NULL, '{"\ud83e\udde0": 1e400}', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
INSERT INTO torture.texts (id) VALUES (6);
INSERT INTO torture.texts (id, c_text) SELECT 100 + i, chr(i) || E'\\' || chr(i) FROM generate_series(1, 300) i;

CREATE TABLE torture.times (
  id int PRIMARY KEY, c_date date, c_time time, c_time_0 time(0), c_timetz timetz, c_timestamp timestamp, c_timestamptz timestamptz,
  c_timestamptz_3 timestamptz(3), c_interval interval, c_interval_day interval day to second(3)
);
INSERT INTO torture.times VALUES
  (1, '-infinity', '00:00', '00:00', '00:00-15:59', '-infinity', '-infinity', '-infinity', '-178000000 years', '-1 day'),
  (2, 'infinity', '24:00', '24:00', '24:00+15:59', 'infinity', 'infinity', 'infinity', '178000000 years', '1 day 02:03:04.567'),
  (3, '4713-01-01 BC', '12:34:56.789012', '12:34:56', '12:34:56.789012+05:45', '4713-01-01 00:00:00 BC', '4713-01-01 00:00:00+00 BC', '0001-01-01 BC',
   '1 year -2 mons +3 days -04:05:06.000007', '00:00:00.001'),
  (4, '5874897-12-31', '23:59:59.999999', '23:59:59', '00:00', '294276-12-31 23:59:59.999999', '294276-12-31 23:59:59.999999+00', '2000-01-01', '0', '0'),
  (5, '1582-10-10', NULL, NULL, NULL, '1999-12-31 23:59:60', '1970-01-01 00:00:00+00', NULL, '-0.000001 seconds', NULL);
INSERT INTO torture.times (id) VALUES (6);

CREATE TABLE torture.shapes_and_networks (
  id int PRIMARY KEY, c_point point, c_line line, c_lseg lseg, c_box box, c_path path, c_polygon polygon, c_circle circle,
  c_inet inet, c_cidr cidr, c_macaddr macaddr, c_macaddr8 macaddr8
);
INSERT INTO torture.shapes_and_networks VALUES
  (1, '(1.1,-0)', '{1,2,3}', '[(0,0),(1,1)]', '(2,2),(1,1)', '((0,0),(1,1),(2,0))', '((0,0),(1,1),(2,0))', '<(0,0),1e300>', '192.168.0.1/24', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05'),
  (2, '(Infinity,NaN)', '{0,1,-1e-300}', '[(1e300,0),(0,0)]', '(0,0),(0,0)', '[(0,0),(1,1)]', '((0.1,0.2))', '<(1,1),0>', '::ffff:1.2.3.4', '2001:db8::/32', 'ff:ff:ff:ff:ff:ff', 'ff:ff:ff:ff:ff:ff:ff:ff');
INSERT INTO torture.shapes_and_networks (id) VALUES (3);

CREATE TABLE torture.ranges (
  id int PRIMARY KEY, c_int4range int4range, c_int8range int8range, c_numrange numrange, c_tsrange tsrange, c_tstzrange tstzrange, c_daterange daterange,
  c_int4multirange int4multirange, c_int8multirange int8multirange, c_nummultirange nummultirange, c_tsmultirange tsmultirange, c_tstzmultirange tstzmultirange, c_datemultirange datemultirange
);
INSERT INTO torture.ranges VALUES
  (1, 'empty', 'empty', 'empty', 'empty', 'empty', 'empty', '{}', '{}', '{}', '{}', '{}', '{}'),
  (2, '(,)', '[1,)', '(,NaN]', '[2000-01-01,infinity]', '(-infinity,2000-01-01 00:00+00)', '[2000-01-01,2000-01-02)', '{[1,2),[5,)}', '{(,)}', '{[1.1,2.2],(3,4)}', '{[2000-01-01,2001-01-01)}', '{(,)}', '{[2000-01-01,2000-01-02)}');
INSERT INTO torture.ranges (id) VALUES (3);

-- Types that refer to objects: their OIDs mean other objects in another database.
CREATE TABLE torture.references_to_things (
  id int PRIMARY KEY, c_regclass regclass, c_regtype regtype, c_regproc regproc, c_regprocedure regprocedure, c_regoper regoper, c_regoperator regoperator,
  c_regrole regrole, c_regnamespace regnamespace, c_regconfig regconfig, c_regdictionary regdictionary, c_regcollation regcollation, c_aclitem aclitem
);
INSERT INTO torture.references_to_things VALUES
  (1, 'torture.numbers', 'torture.numbers', 'pg_catalog.now', 'pg_catalog.abs(int)', 'pg_catalog.|/', '+(int,int)', 'torture_reader', 'torture', 'spanish', 'simple', '"C"', 'torture_reader=arw*/postgres'),
  (2, '-', 'int4[]', '-', '-', '0', '0', '-', '-', '-', '-', '-', '=r/postgres');
INSERT INTO torture.references_to_things (id) VALUES (3);

-- Arrays of each type, with odd bounds, several dimensions, NULL elements, and empty.
CREATE TABLE torture.arrays (
  id int PRIMARY KEY, a_bool bool[], a_int2 int2[], a_int4 int4[][], a_int8 int8[], a_float8 float8[], a_numeric numeric[], a_text text[], a_varchar varchar(5)[], a_bpchar char(3)[],
  a_char "char"[], a_name name[], a_bytea bytea[], a_json json[], a_jsonb jsonb[], a_xml xml[], a_uuid uuid[], a_bit bit(2)[], a_varbit varbit[], a_tsvector tsvector[], a_date date[], a_time time[],
  a_timestamptz timestamptz[], a_interval interval[], a_point point[], a_box box[], a_inet inet[], a_macaddr macaddr[], a_int4range int4range[], a_datemultirange datemultirange[], a_money money[], a_oid oid[],
  a_regclass regclass[], a_regrole regrole[], a_aclitem aclitem[], a_xid8 xid8[], a_int2vector int2vector[], a_jsonpath jsonpath[], a_pg_lsn pg_lsn[]
);
INSERT INTO torture.arrays VALUES
  (1, '{}', '{1,NULL,-3}', '[2:3][-1:0]={{1,2},{3,NULL}}', '{{{1}}}', '{NaN,-0,Infinity}', '{1.50,NaN}', ARRAY['', NULL, 'NULL', '"', '\', ',', '{}', E'\n'], '{abc}', '{a}',
   ARRAY['x'::"char", '"'], '{pg_class}', ARRAY['\x00'::bytea, '\x5c'], ARRAY['{"a": "b,c"}'::json], '{"{}",NULL}', ARRAY['<a/>'::xml], '{00000000-0000-0000-0000-000000000000}', '{01,10}', ARRAY[B'', B'1'], ARRAY['a:1'::tsvector], '{infinity,2000-01-01}', '{24:00}',
   '{-infinity}', '{"1 mon -1 days",NULL}', '{"(1,2)"}', '{(1,1),(0,0);(3,3),(2,2)}', '{::1,10.0.0.0/8}', '{08:00:2b:01:02:03}', '{empty,"[1,2)"}', ARRAY['{}'::datemultirange], '{1.00}', '{4294967295}',
   '{torture.numbers,-}', '{torture_reader}', '{torture_reader=r/postgres}', '{1}', ARRAY['1 2'::int2vector], ARRAY['$.a'::jsonpath], '{0/1}');
INSERT INTO torture.arrays (id) VALUES (2);
