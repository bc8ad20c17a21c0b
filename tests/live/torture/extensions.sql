-- Extensions in their own schemas, with columns and indexes of their types.
CREATE SCHEMA "ext. schema";
CREATE EXTENSION hstore SCHEMA "ext. schema";
CREATE EXTENSION citext;
CREATE EXTENSION ltree;
CREATE EXTENSION pg_trgm;
CREATE EXTENSION btree_gist;
CREATE EXTENSION seg;
CREATE EXTENSION cube;
CREATE EXTENSION isn;
CREATE EXTENSION postgres_fdw;
COMMENT ON EXTENSION hstore IS 'a comment of our own';
CREATE TABLE torture.of_extensions (id int, h "ext. schema".hstore, hs "ext. schema".hstore[], c citext, cs citext[], l ltree, ls ltree[], s seg, cu cube, b isbn13, dom public.citext);
INSERT INTO torture.of_extensions VALUES
  (1, 'a=>1, "b c"=>NULL, "q\""=>"\\"', ARRAY['x=>y'::"ext. schema".hstore, NULL], 'CaSe', '{A,a}', 'Top.Science', '{a.b,c}', '1.0 .. 2.50', '(1,2,3),(4,5,6)', '978-0-393-04002-9', 'X'),
  (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL), (3, '', '{}', '', '{}', '', '{}', '<5', '()', NULL, '');
CREATE INDEX ON torture.of_extensions USING gist (h);
CREATE INDEX ON torture.of_extensions USING gin (c gin_trgm_ops);
CREATE SERVER torture_server FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname 'no''where');
CREATE USER MAPPING FOR torture_reader SERVER torture_server OPTIONS (user 'u', password 'p''w');
CREATE FOREIGN TABLE torture.far_away (id int, t text OPTIONS (column_name 'T')) SERVER torture_server OPTIONS (table_name 'x');
GRANT USAGE ON FOREIGN SERVER torture_server TO torture_reader;
\if :has_config
-- An extension with a table whose rows are the owner's configuration.
CREATE EXTENSION torture_config;
INSERT INTO torture_config.settings VALUES ('ours', 'kept'), ('also ours', NULL);
\endif

\if :has_vector
CREATE EXTENSION vector;
CREATE TABLE torture.vectors (id int PRIMARY KEY, v vector(8), h halfvec(8), s sparsevec(1000), b bit(64), vs vector[], hs halfvec(3)[], ss sparsevec[], any_size vector, d jsonb);
INSERT INTO torture.vectors SELECT i, ARRAY(SELECT sin(i * j)::float4 FROM generate_series(1, 8) j)::vector, ARRAY(SELECT cos(i * j)::float4 FROM generate_series(1, 8) j)::halfvec,
  format('{%s:1.5,%s:-2e-3}/1000', i % 999 + 1, 1000)::sparsevec, (i * 7919)::bit(64), NULL, NULL, NULL, ARRAY(SELECT j FROM generate_series(1, i % 20 + 1) j)::vector, NULL FROM generate_series(1, 1000) i;
INSERT INTO torture.vectors VALUES (1001, '[0,-0,1e-38,3.4e38,1,2,3,4]', '[0,-0,65504,6e-8,1,2,3,4]', '{}/1000', B'0'::bit(64), ARRAY['[1]', NULL, '[1,2]']::vector[], '{"[1,2,3]"}', '{"{1:1}/5"}', NULL, NULL);
INSERT INTO torture.vectors (id) VALUES (1002);
CREATE TABLE torture.vectors_binary (id int PRIMARY KEY, v vector(384), h halfvec(384), s sparsevec(5));
INSERT INTO torture.vectors_binary SELECT i, ARRAY(SELECT sin(i * j)::float4 FROM generate_series(1, 384) j)::vector, ARRAY(SELECT cos(i * j)::float4 FROM generate_series(1, 384) j)::halfvec, '{2:1}/5' FROM generate_series(1, 500) i;
CREATE DOMAIN torture.unit_vector AS vector(3) CHECK (vector_norm(VALUE) < 1.01);
CREATE TABLE torture.of_vector_domain (v torture.unit_vector); INSERT INTO torture.of_vector_domain VALUES ('[1,0,0]'), (NULL);
CREATE INDEX ON torture.vectors USING hnsw (v vector_cosine_ops) WITH (m = 16, ef_construction = 64);
CREATE INDEX ON torture.vectors USING hnsw (h halfvec_l2_ops);
CREATE INDEX ON torture.vectors USING hnsw (s sparsevec_ip_ops);
CREATE INDEX ON torture.vectors USING hnsw (b bit_hamming_ops);
CREATE INDEX ON torture.vectors_binary USING ivfflat (v vector_cosine_ops) WITH (lists = 10);
CREATE INDEX ON torture.vectors_binary USING hnsw ((v::halfvec(384)) halfvec_cosine_ops);
\endif
