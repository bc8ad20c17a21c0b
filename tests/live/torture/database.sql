-- Properties of the database itself.
SELECT current_database() AS db \gset
COMMENT ON DATABASE :"db" IS 'the database''s own; "comment" \ ';
ALTER DATABASE :"db" SET search_path = "$user", torture, "Schema, with ""quotes"". and dots";
ALTER DATABASE :"db" SET DateStyle = 'SQL, DMY';
ALTER DATABASE :"db" SET IntervalStyle = 'sql_standard';
ALTER DATABASE :"db" SET extra_float_digits = 0;
ALTER DATABASE :"db" SET bytea_output = 'escape';
ALTER DATABASE :"db" SET TimeZone = 'Asia/Kathmandu';
ALTER DATABASE :"db" SET xmloption = 'document';
ALTER DATABASE :"db" SET torture.setting = 'it''s "quoted" \ ; é';
-- Not together with the login trigger of newer.sql, which writes.
\if :is_17
\else
ALTER DATABASE :"db" SET default_transaction_read_only = on;
\endif
ALTER ROLE torture_login IN DATABASE :"db" SET work_mem = '9MB';
ALTER ROLE torture_login IN DATABASE :"db" SET search_path = '';
ALTER DATABASE :"db" CONNECTION LIMIT 50;
REVOKE CONNECT ON DATABASE :"db" FROM PUBLIC;
GRANT CONNECT, TEMPORARY ON DATABASE :"db" TO torture_reader WITH GRANT OPTION;
ALTER DATABASE :"db" OWNER TO torture_owner;
