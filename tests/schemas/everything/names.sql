-- Names that need quotes, and names that PostgreSQL's own objects have.
CREATE TABLE "MixedCase" ("Id" integer PRIMARY KEY, "with ""quotes""" text DEFAULT '"', "a.b" integer, "spaced  out" integer, "select" integer, "ключ" text, "line
break" text, "1st" integer, "$dollar" integer, "back\slash" integer, "a'b" text, user_id integer);
CREATE TABLE "a.b" ("a.b" integer CONSTRAINT "a.b.c" PRIMARY KEY, "table" integer REFERENCES "MixedCase" ("Id"));
CREATE TABLE "table" ("column" serial, "user" text DEFAULT USER, "end" integer GENERATED ALWAYS AS IDENTITY);
CREATE TABLE "таблица" ("столбец" bigserial PRIMARY KEY, "日本" "table");
CREATE TABLE "sixty_three_bytes_long_is_what_postgresql_keeps_of_any_name_zzzz" (
    "sixty_three_bytes_long_is_what_postgresql_keeps_of_any_name_zzzz" serial PRIMARY KEY,
    "sixty_three_bytes_long_is_what_postgresql_keeps_of_any_name_yyyy" integer UNIQUE CHECK ("sixty_three_bytes_long_is_what_postgresql_keeps_of_any_name_yyyy" > 0),
    "emoji 😀 name" integer REFERENCES "sixty_three_bytes_long_is_what_postgresql_keeps_of_any_name_zzzz"
);
CREATE TYPE "Type ""of"" mine" AS ENUM ('a');
CREATE TYPE _people_too AS (a integer);
-- The array type of the first can't have the name that it would have had.
CREATE TYPE _taken AS ENUM ('x');
CREATE TYPE taken AS ENUM ('y');
CREATE SEQUENCE "Sequence's ""name""";
CREATE FUNCTION "select"("from" "Type ""of"" mine" DEFAULT 'a', "a.b" "MixedCase" DEFAULT NULL, "$1" taken[] DEFAULT NULL) RETURNS "Type ""of"" mine" LANGUAGE sql BEGIN ATOMIC SELECT "from" FROM "a.b" AS "x""y" WHERE "x""y"."a.b" = 1; END;
CREATE INDEX "Index "" on" ON "MixedCase" ("with ""quotes""", (lower("a'b")), "line
break") INCLUDE ("1st") WHERE "select" = 1 AND "$dollar" IS NULL;
ALTER TABLE "MixedCase" ADD CONSTRAINT "Check "" it" CHECK ("back\slash" <> "1st"), ALTER "a.b" SET DEFAULT nextval('"Sequence''s ""name"""');
CREATE VIEW "View ""of"" it" ("Column ""one""", "select") AS SELECT m."with ""quotes""", m FROM "MixedCase" m WHERE "select"() = 'a' AND '"Sequence''s ""name"""'::regclass IS NOT NULL;
CREATE TRIGGER "Trigger "" name" BEFORE UPDATE OF "a.b", "select" ON "MixedCase" FOR EACH ROW WHEN (OLD."a.b" = NEW."select") EXECUTE FUNCTION fired('"');
CREATE POLICY "Policy "" name" ON "MixedCase" TO "Odd ""role""" USING ("select"() = 'a' AND user_id = 5);
CREATE STATISTICS "Statistics "" name" ON "select", "a.b" FROM "MixedCase";

-- pg_catalog is looked at before the path where it is not on it: here it comes after.
DO $$ BEGIN PERFORM set_config('search_path', quote_ident(current_schema()) || ', pg_catalog', false); END $$;
CREATE TABLE pg_class (oid integer PRIMARY KEY, relname text DEFAULT 'not the catalog''s');
CREATE TABLE pg_type (id serial, class integer REFERENCES pg_class);
CREATE FUNCTION now() RETURNS pg_catalog.timestamptz LANGUAGE sql STABLE BEGIN ATOMIC SELECT pg_catalog.now() - interval '1 day'; END;
CREATE FUNCTION lower(pg_catalog.text) RETURNS pg_catalog.text LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT pg_catalog.upper($1); END;
CREATE FUNCTION nextval(regclass) RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT 5::bigint; END;
CREATE FUNCTION int4pl(integer, integer) RETURNS integer LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT $1 OPERATOR(pg_catalog.*) $2; END;
CREATE OPERATOR + (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4pl);
CREATE OPERATOR = (LEFTARG = text, RIGHTARG = text, FUNCTION = same_text);
CREATE AGGREGATE max(integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '1');
CREATE DOMAIN text AS pg_catalog.text CHECK (VALUE OPERATOR(pg_catalog.<>) 'x');
CREATE TYPE date AS ENUM ('today', 'tomorrow');
CREATE COLLATION "POSIX" (LOCALE = 'C');
CREATE TEXT SEARCH CONFIGURATION simple (COPY = pg_catalog.simple);
CREATE OPERATOR CLASS int4_ops FOR TYPE integer USING btree AS FUNCTION 1 btint4cmp(integer, integer), OPERATOR 1 pg_catalog.<, OPERATOR 3 pg_catalog.=;
CREATE TABLE shadows (
    a text DEFAULT lower('A'), b pg_catalog.text COLLATE "POSIX" DEFAULT pg_catalog.lower('A'), c date DEFAULT 'today', d pg_catalog.date DEFAULT 'today', n integer DEFAULT 1 + 2,
    m integer DEFAULT 1 OPERATOR(pg_catalog.+) 2, at timestamptz DEFAULT now(), CHECK (n + m = 3), CHECK (b = 'x'), number bigint DEFAULT nextval('plain_numbers')
);
CREATE INDEX shadows_lower ON shadows (lower(b), (n + m), n int4_ops, m pg_catalog.int4_ops, b COLLATE pg_catalog."POSIX");
CREATE VIEW shadowed AS SELECT c.relname, max(c.oid), pg_catalog.max(c.oid) AS other, max(s.n + 1) AS third, now() AS now, pg_catalog.now() AS true_now, count(*), 'x'::text AS t, 'x'::pg_catalog.text AS u, to_tsvector('simple', 'x'), to_tsvector('pg_catalog.simple', 'x') AS v
    FROM pg_class c, pg_catalog.pg_class k, pg_type, shadows s WHERE c.relname = k.relname AND s.b OPERATOR(pg_catalog.=) 'x' GROUP BY c.relname;
CREATE VIEW shadowed_classes AS SELECT 'pg_class'::regclass AS mine, 'pg_catalog.pg_class'::regclass AS theirs, 'text'::regtype AS type, 'now()'::regprocedure AS function, '+(integer,integer)'::regoperator AS operator;
ALTER VIEW shadowed RENAME COLUMN max TO "Max";
CREATE FUNCTION shadow_arguments(a text, b pg_catalog.text, c date DEFAULT 'today', d pg_catalog.date DEFAULT pg_catalog.now(), e pg_class DEFAULT NULL, f pg_catalog.pg_class DEFAULT NULL) RETURNS text LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION shadow_arguments(a pg_catalog.text, b text, c date DEFAULT 'today', d pg_catalog.date DEFAULT pg_catalog.now(), e pg_class DEFAULT NULL, f pg_catalog.pg_class DEFAULT NULL) RETURNS pg_catalog.text LANGUAGE sql AS 'SELECT $1';
CREATE POLICY shadows ON shadows USING (b = 'x' AND EXISTS (SELECT FROM pg_class WHERE now() IS NOT NULL));
CREATE RULE shadows AS ON DELETE TO shadows DO ALSO UPDATE pg_class SET relname = lower(old.b) WHERE oid + 1 = old.n;
CREATE TRIGGER shadows BEFORE UPDATE ON shadows FOR EACH ROW WHEN (OLD.n + 1 = lower('x')::integer) EXECUTE FUNCTION fired();
DO $$ BEGIN PERFORM set_config('search_path', quote_ident(current_schema()), false); END $$;
