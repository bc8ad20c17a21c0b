-- Names that break quoting: quotes, dots, spaces, backslashes, line ends, other scripts, keywords, the maximal length.
CREATE SCHEMA "Schema, with ""quotes"". and dots";
CREATE SCHEMA "sch'ema \ back";
CREATE SCHEMA "*";
CREATE TABLE "Schema, with ""quotes"". and dots"."ta""ble. 'one' \ two" ("col""umn" int PRIMARY KEY, "a.b" text, "sp ace" text, "üñí🧠" text, "select" int, "back\slash" text, "per%cent" text, "$$" text);
INSERT INTO "Schema, with ""quotes"". and dots"."ta""ble. 'one' \ two" SELECT i, 'a', 'b', 'c', i, '\', '%', '$$' FROM generate_series(1, 20) i;
CREATE TABLE "sch'ema \ back"."line
end" ("tab	and
line" text DEFAULT E'de\'fault\n');
INSERT INTO "sch'ema \ back"."line
end" DEFAULT VALUES;
CREATE TABLE "sch'ema \ back".":psql 'variable' :""x"" \ $1 ${HOME} `id`" (a serial, m torture.mood[]);
INSERT INTO "sch'ema \ back".":psql 'variable' :""x"" \ $1 ${HOME} `id`" (m) VALUES ('{sad}');
-- As patterns, these would match other names.
CREATE TABLE "*"."*" (a int); INSERT INTO "*"."*" VALUES (1);
CREATE TABLE "*"."?" (a int); INSERT INTO "*"."?" VALUES (2);
CREATE TABLE "*"."a|b" (a int); INSERT INTO "*"."a|b" VALUES (3);
CREATE TABLE "*"."[a-z]+(.*)$" (a int); INSERT INTO "*"."[a-z]+(.*)$" VALUES (4);
CREATE TABLE "*"."--help" (a int); INSERT INTO "*"."--help" VALUES (5);
CREATE TABLE "*"."; DROP TABLE x; --" (a int); INSERT INTO "*"."; DROP TABLE x; --" VALUES (6);
CREATE TABLE "*"."UPPER" (a int); INSERT INTO "*"."UPPER" VALUES (7);
CREATE TABLE "*"."upper" (a int); INSERT INTO "*"."upper" VALUES (8);
CREATE TABLE "*"."漢字かな交じり文漢字かな交じり文漢字かな" (a int, "🧠" int GENERATED ALWAYS AS (a) STORED, "שלום" text); INSERT INTO "*"."漢字かな交じり文漢字かな交じり文漢字かな" VALUES (9);
CREATE TABLE "*"."sixty-three bytes long, which is the very most a name can have!" (a int); INSERT INTO "*"."sixty-three bytes long, which is the very most a name can have!" VALUES (10);
CREATE SEQUENCE "*"."se""quence. with 'everything' \ in it"; SELECT nextval(quote_ident('*') || '.' || quote_ident('se"quence. with ''everything'' \ in it'));
CREATE TABLE public."user" ("order" int, "table" text); INSERT INTO public."user" VALUES (1, 'reserved');
-- Names of catalogs in a user's schema.
CREATE TABLE torture.pg_class (relname text); INSERT INTO torture.pg_class VALUES ('not the catalog');
