-- Roles belong to the whole server, so this creates only missing ones.
SELECT NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'torture_reader') AS missing \gset
\if :missing
CREATE ROLE torture_reader NOLOGIN;
COMMENT ON ROLE torture_reader IS 'reads; it''s said, "nothing else" \ ;';
CREATE ROLE torture_owner NOLOGIN CREATEDB;
CREATE ROLE torture_login LOGIN CONNECTION LIMIT 3 VALID UNTIL '2099-01-01' IN ROLE torture_reader;
CREATE ROLE "torture Rôle, with ""quotes""; and 'more'" NOLOGIN BYPASSRLS;
ALTER ROLE torture_login SET search_path = "$user", torture, public;
ALTER ROLE torture_login SET work_mem = '7MB';
GRANT torture_owner TO torture_login WITH ADMIN OPTION;
GRANT pg_read_all_settings TO "torture Rôle, with ""quotes""; and 'more'";
GRANT SET ON PARAMETER log_min_duration_statement TO torture_reader;
\endif
