-- A film rental shop with the kinds of objects of the sample databases Sakila and Pagila, but not their text.
CREATE SCHEMA shop;
SET search_path = shop, public;
CREATE TYPE shop.rating AS ENUM ('G', 'PG', 'PG-13', 'R', 'NC-17');
CREATE DOMAIN shop.year AS integer CHECK (VALUE BETWEEN 1901 AND 2155);
CREATE FUNCTION shop.touched() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.last_update = timestamptz '2026-01-01'; RETURN NEW; END $$;
CREATE FUNCTION shop.joined(text, text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT CASE WHEN $2 IS NULL THEN $1 WHEN $1 IS NULL THEN $2 ELSE $1 || ', ' || $2 END $$;
CREATE AGGREGATE shop.joined_all(text) (SFUNC = shop.joined, STYPE = text);

CREATE TABLE language (language_id serial PRIMARY KEY, name character(20) NOT NULL, last_update timestamptz DEFAULT now() NOT NULL);
CREATE TABLE actor (actor_id serial PRIMARY KEY, first_name text NOT NULL, last_name text NOT NULL, last_update timestamptz DEFAULT now() NOT NULL);
CREATE TABLE category (category_id serial PRIMARY KEY, name text NOT NULL, last_update timestamptz DEFAULT now() NOT NULL);
CREATE TABLE film (film_id serial PRIMARY KEY, title text NOT NULL, description text, release_year shop.year,
	language_id integer NOT NULL REFERENCES language ON UPDATE CASCADE ON DELETE RESTRICT, original_language_id integer REFERENCES language,
	rental_duration smallint DEFAULT 3 NOT NULL, rental_rate numeric(4, 2) DEFAULT 4.99 NOT NULL, length smallint,
	replacement_cost numeric(5, 2) DEFAULT 19.99 NOT NULL, rating shop.rating DEFAULT 'G', special_features text[],
	fulltext tsvector NOT NULL, last_update timestamptz DEFAULT now() NOT NULL);
CREATE TABLE film_actor (actor_id integer REFERENCES actor, film_id integer REFERENCES film, last_update timestamptz DEFAULT now() NOT NULL, PRIMARY KEY (actor_id, film_id));
CREATE TABLE film_category (film_id integer REFERENCES film, category_id integer REFERENCES category, PRIMARY KEY (film_id, category_id));
CREATE TABLE store (store_id serial PRIMARY KEY, manager_id integer NOT NULL);
CREATE TABLE staff (staff_id serial PRIMARY KEY, name text NOT NULL, store_id integer NOT NULL REFERENCES store, active boolean DEFAULT true NOT NULL, picture bytea);
-- Two rows that refer to each other.
INSERT INTO store (manager_id) VALUES (1), (2);
INSERT INTO staff (name, store_id, picture) VALUES ('Mike', 1, '\x89504e470d0a'), ('Jon', 2, NULL);
ALTER TABLE store ADD FOREIGN KEY (manager_id) REFERENCES staff DEFERRABLE INITIALLY DEFERRED;
CREATE TABLE customer (customer_id serial PRIMARY KEY, store_id integer NOT NULL REFERENCES store, name text NOT NULL, email text, active integer, create_date date DEFAULT '2026-01-01' NOT NULL);
CREATE TABLE inventory (inventory_id serial PRIMARY KEY, film_id integer NOT NULL REFERENCES film, store_id integer NOT NULL REFERENCES store);
CREATE TABLE rental (rental_id serial PRIMARY KEY, period tstzrange NOT NULL, inventory_id integer NOT NULL REFERENCES inventory, customer_id integer NOT NULL REFERENCES customer, staff_id integer NOT NULL REFERENCES staff);
CREATE TABLE payment (payment_id serial, customer_id integer NOT NULL, rental_id integer NOT NULL, amount numeric(5, 2) NOT NULL, payment_date timestamptz NOT NULL, PRIMARY KEY (payment_date, payment_id)) PARTITION BY RANGE (payment_date);
CREATE TABLE payment_01 PARTITION OF payment (FOREIGN KEY (customer_id) REFERENCES customer) FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE payment_02 PARTITION OF payment (FOREIGN KEY (customer_id) REFERENCES customer) FOR VALUES FROM ('2026-02-01') TO ('2026-03-01');
CREATE TABLE payment_more PARTITION OF payment DEFAULT;

CREATE TRIGGER film_words BEFORE INSERT OR UPDATE ON film FOR EACH ROW EXECUTE FUNCTION tsvector_update_trigger('fulltext', 'pg_catalog.english', 'title', 'description');
CREATE TRIGGER touched BEFORE UPDATE ON film FOR EACH ROW EXECUTE FUNCTION shop.touched();
INSERT INTO language (name) VALUES ('English'), ('Español');
INSERT INTO actor (first_name, last_name) SELECT 'first ' || i, 'last ' || i FROM generate_series(1, 200) i;
INSERT INTO category (name) SELECT 'category ' || i FROM generate_series(1, 16) i;
INSERT INTO film (title, description, release_year, language_id, rating, special_features)
	SELECT 'film ' || i, 'a tale of ' || i || ' monkeys', 1950 + i % 70, 1 + i % 2, (enum_range(NULL::shop.rating))[1 + i % 5], ARRAY['Trailers', 'Deleted "Scenes"'] FROM generate_series(1, 1000) i;
INSERT INTO film_actor SELECT 1 + (i * 7) % 200, i FROM generate_series(1, 1000) i;
INSERT INTO film_category SELECT i, 1 + i % 16 FROM generate_series(1, 1000) i;
INSERT INTO customer (store_id, name, active) SELECT 1 + i % 2, 'customer ' || i, i % 2 FROM generate_series(1, 600) i;
INSERT INTO inventory (film_id, store_id) SELECT 1 + i % 1000, 1 + i % 2 FROM generate_series(1, 4000) i;
INSERT INTO rental (period, inventory_id, customer_id, staff_id) SELECT tstzrange('2026-01-01'::timestamptz + i * interval '1 hour', '2026-01-03'::timestamptz + i * interval '1 hour'), i, 1 + i % 600, 1 + i % 2 FROM generate_series(1, 4000) i;
INSERT INTO payment (customer_id, rental_id, amount, payment_date) SELECT 1 + i % 600, i, i % 9 + 0.99, '2026-01-01'::timestamptz + i * interval '1 hour' FROM generate_series(1, 4000) i;

CREATE INDEX film_fulltext ON film USING gist (fulltext);
CREATE INDEX rental_period ON rental USING gist (period);
CREATE UNIQUE INDEX one_rental ON rental (inventory_id, lower(period));
CREATE INDEX payment_customer ON payment (customer_id);
CREATE VIEW film_list AS SELECT f.film_id, f.title, c.name AS category, f.rating, shop.joined_all(a.first_name || ' ' || a.last_name) AS actors
	FROM film f JOIN film_category USING (film_id) JOIN category c USING (category_id) JOIN film_actor USING (film_id) JOIN actor a USING (actor_id) GROUP BY f.film_id, c.name;
CREATE MATERIALIZED VIEW sales AS SELECT customer_id, sum(amount) AS total FROM payment GROUP BY 1;
CREATE UNIQUE INDEX ON sales (customer_id);
CREATE RULE never AS ON DELETE TO language DO INSTEAD NOTHING;
CREATE FUNCTION shop.in_stock(p_film integer, p_store integer, OUT copies integer) RETURNS SETOF integer LANGUAGE sql AS $$ SELECT inventory_id FROM shop.inventory WHERE film_id = $1 AND store_id = $2 $$;
CREATE FUNCTION shop.balance(p_customer integer) RETURNS numeric LANGUAGE plpgsql STABLE AS $$
DECLARE paid numeric; BEGIN SELECT coalesce(sum(amount), 0) INTO paid FROM shop.payment WHERE customer_id = p_customer; RETURN paid; END $$;
