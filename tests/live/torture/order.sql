-- Tables with unordered rows: large and small ones, reused space of deleted rows, versions of rows.
-- A copy must return the rows in the order of the original.
CREATE TABLE torture.scattered (id int, t text);
ALTER TABLE torture.scattered ALTER t SET STORAGE PLAIN;
SELECT setseed(0.42);
INSERT INTO torture.scattered SELECT i, repeat(chr(97 + i % 26), CASE WHEN i % 7 = 0 THEN 7900 ELSE (random() * 900)::int END) FROM generate_series(1, 5000) i;
DELETE FROM torture.scattered WHERE id % 3 = 0;
VACUUM torture.scattered;
INSERT INTO torture.scattered SELECT i, repeat('n', (random() * 3000)::int) FROM generate_series(5001, 7000) i;
UPDATE torture.scattered SET t = t || 'updated' WHERE id % 5 = 0 AND length(t) < 7000;
VACUUM torture.scattered;
INSERT INTO torture.scattered SELECT i, 'small' FROM generate_series(7001, 9000) i;
DELETE FROM torture.scattered WHERE id BETWEEN 100 AND 200;

CREATE TABLE torture.scattered_toast (id int PRIMARY KEY, t text, u text, m torture.mood[]);
INSERT INTO torture.scattered_toast SELECT i, string_agg(md5((i * 1000 + j)::text), ''), NULL, '{sad}' FROM generate_series(1, 300) i, generate_series(1, 5 + i) j GROUP BY i ORDER BY i;
DELETE FROM torture.scattered_toast WHERE id % 2 = 0;
VACUUM torture.scattered_toast;
INSERT INTO torture.scattered_toast SELECT i, repeat('x', (random() * 200000)::int), 'u', '{}' FROM generate_series(301, 600) i;
UPDATE torture.scattered_toast SET u = t WHERE id % 11 = 0;
-- The last pages are empty, and so is the first.
CREATE TABLE torture.emptied (id int, t text);
INSERT INTO torture.emptied SELECT i, repeat('e', 500) FROM generate_series(1, 1000) i;
DELETE FROM torture.emptied WHERE id < 100 OR id > 300;
VACUUM (TRUNCATE off) torture.emptied;
CREATE TABLE torture.all_deleted (id int);
INSERT INTO torture.all_deleted SELECT generate_series(1, 1000);
DELETE FROM torture.all_deleted;
-- A transaction that was rolled back has left its rows on the pages.
CREATE TABLE torture.rolled_back (id int);
INSERT INTO torture.rolled_back SELECT generate_series(1, 100);
BEGIN; INSERT INTO torture.rolled_back SELECT generate_series(101, 1000); SAVEPOINT s; DELETE FROM torture.rolled_back; ROLLBACK;
INSERT INTO torture.rolled_back SELECT generate_series(1001, 1100);
