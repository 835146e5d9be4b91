-- Each relation that is not called plain_ has something behind it that resolves names at run time.
CREATE SCHEMA t1;
CREATE SCHEMA t2;
CREATE EXTENSION pgcrypto SCHEMA public;
CREATE EXTENSION citext SCHEMA public;
SET search_path = t1, public;

CREATE TYPE mood AS ENUM ('a', 'b');
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END';
CREATE FUNCTION f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE DOMAIN positive AS int CHECK (value > 0);
CREATE DOMAIN doubtful AS int CHECK (f(value) > 0);
CREATE TYPE pair AS (a int, b doubtful);
CREATE SEQUENCE seq;

CREATE TABLE plain_users (
  id serial PRIMARY KEY, name text CHECK (length(name) < 100), k uuid DEFAULT gen_random_uuid(),
  at timestamptz DEFAULT now(), mail citext UNIQUE, s text DEFAULT gen_salt('bf'));
CREATE TABLE plain_posts (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id int REFERENCES plain_users, body text,
  vector tsvector GENERATED ALWAYS AS (to_tsvector('english'::regconfig, 'x')) STORED);
CREATE INDEX ON plain_posts (lower(body)) WHERE body <> '';
CREATE TABLE typed (m mood, p positive, pp positive[], n int DEFAULT nextval('seq'));
CREATE TABLE plain_modified (at timestamptz);
CREATE TRIGGER t BEFORE UPDATE ON plain_modified FOR EACH ROW
  EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE TABLE plain_parent (a int) PARTITION BY RANGE (a);
CREATE TABLE plain_part PARTITION OF plain_parent FOR VALUES FROM (0) TO (10);
CREATE TABLE plain_secured (a int);
ALTER TABLE plain_secured ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON plain_secured USING (a > 0);
CREATE VIEW plain_view AS SELECT u.name FROM plain_users u JOIN plain_posts p ON p.user_id = u.id;
CREATE MATERIALIZED VIEW plain_stored AS SELECT * FROM plain_view;

CREATE TABLE triggered (id int PRIMARY KEY);
CREATE TRIGGER t BEFORE INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TABLE plain_referrer (id int REFERENCES triggered);
CREATE TABLE cascading (id int PRIMARY KEY);
CREATE TABLE cascaded (id int REFERENCES cascading ON DELETE CASCADE);
CREATE TRIGGER t AFTER DELETE ON cascaded FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TABLE ruled (a int);
CREATE RULE r AS ON INSERT TO ruled DO ALSO NOTIFY x;
CREATE TABLE secured (a int);
ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON secured USING (f(a) > 0);
CREATE TABLE defaulting (a int DEFAULT f(1));
CREATE TABLE defaulting_by_text (a int DEFAULT nextval('seq'::text));
CREATE TABLE checking (a int CHECK (f(a) > 0));
CREATE TABLE generating (a int, b int GENERATED ALWAYS AS (f(a)) STORED);
CREATE TABLE indexed (a int);
CREATE INDEX ON indexed (f(a));
CREATE TABLE indexed_in_part (a int);
CREATE INDEX ON indexed_in_part (a) WHERE f(a) > 0;
CREATE TABLE measured (a int);
CREATE STATISTICS st ON (f(a)) FROM measured;
CREATE TABLE of_domain (a doubtful);
CREATE TABLE of_domains (a doubtful[]);
CREATE TABLE of_pair (a pair);
CREATE TABLE of_names (a regclass);
CREATE TABLE parent (a int) PARTITION BY RANGE (a);
CREATE TABLE part PARTITION OF parent FOR VALUES FROM (0) TO (10);
CREATE TABLE t2.part PARTITION OF parent FOR VALUES FROM (10) TO (20);
CREATE TABLE heir_of_triggered () INHERITS (triggered);

CREATE VIEW viewing_triggered AS SELECT * FROM triggered;
CREATE VIEW viewing_view AS SELECT * FROM viewing_triggered;
CREATE VIEW viewing_stored AS SELECT v.name, f(1) FROM plain_stored v;
CREATE VIEW viewing_function AS SELECT f(id) FROM plain_users;
CREATE VIEW viewing_catalog AS SELECT relname FROM pg_class;
CREATE VIEW viewing_schema AS SELECT current_schema AS s;
CREATE VIEW viewing_path AS SELECT current_setting('search_path');
CREATE VIEW viewing_query AS SELECT query_to_xml('SELECT 1', true, true, '');
CREATE VIEW viewing_name AS SELECT 'plain_users'::regclass;
CREATE VIEW viewing_names AS SELECT tableoid::regclass::text FROM plain_users;
CREATE VIEW viewing_foreign AS SELECT table_name FROM information_schema.tables;
CREATE VIEW viewing_draws AS SELECT lastval();
CREATE VIEW viewing_draw AS SELECT name FROM plain_users WHERE id > currval('seq');
CREATE VIEW viewing_lock AS SELECT pg_try_advisory_lock(1);
CREATE VIEW viewing_seed AS SELECT setseed(0.5)::text;
CREATE TABLE secured_by_draws (a int);
ALTER TABLE secured_by_draws ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON secured_by_draws USING (a > lastval());
CREATE TABLE plain_drawing (a bigint DEFAULT currval('seq'::regclass));
