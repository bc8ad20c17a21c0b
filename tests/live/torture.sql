-- A database that is hard to back up: everything that PostgreSQL 15 to 18 can store, in the most awkward form.
--
--   createdb torture && psql -X -v ON_ERROR_STOP=1 -d torture -f torture.sql
--
-- Needs a superuser. Leaves out what a server does not have (features of newer versions, pgvector).
\set QUIET 1
\set ON_ERROR_STOP 1
SET client_min_messages = warning;
SET client_encoding = 'UTF8';

SELECT current_setting('server_version_num')::int >= 160000 AS is_16,
       current_setting('server_version_num')::int >= 170000 AS is_17,
       current_setting('server_version_num')::int >= 180000 AS is_18,
       EXISTS (SELECT FROM pg_available_extensions WHERE name = 'vector') AS has_vector,
       EXISTS (SELECT FROM pg_available_extensions WHERE name = 'torture_config') AS has_config \gset

\ir torture/roles.sql
\ir torture/types.sql
\ir torture/own_types.sql
\ir torture/tables.sql
\ir torture/names.sql
\ir torture/order.sql
\ir torture/code.sql
\ir torture/extensions.sql
\ir torture/newer.sql
\ir torture/database.sql
