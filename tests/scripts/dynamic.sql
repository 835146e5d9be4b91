-- Functions and blocks whose body is a string.
CREATE TABLE log (id serial, what text);
DO $$ BEGIN INSERT INTO log (what) VALUES ('by do'); END $$;
SELECT what FROM log;
DO $$ BEGIN RAISE NOTICE 'said %', (SELECT count(*) FROM log); END $$;
DO $$ BEGIN RAISE EXCEPTION 'raised'; END $$;
DO $$ BEGIN PERFORM * FROM missing; END $$;
DO $$ BEGIN syntax error; END $$;
DO LANGUAGE plpgsql 'BEGIN NULL; END';
CREATE FUNCTION add(a int, b int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN a + b; END $$;
SELECT add(1, 2);
SELECT add(NULL, 2);
CREATE OR REPLACE FUNCTION add(a int, b int) RETURNS int LANGUAGE sql AS 'SELECT $1 + $2 + 100';
SELECT add(1, 2);
CREATE FUNCTION counted() RETURNS bigint LANGUAGE sql AS 'SELECT count(*) FROM log';
SELECT counted();
CREATE FUNCTION rows_of(n int) RETURNS TABLE (i int, s text) LANGUAGE plpgsql AS $f$
BEGIN
  FOR i IN 1 .. n LOOP
    s := 'row ' || i;
    RETURN NEXT;
  END LOOP;
END $f$;
SELECT * FROM rows_of(3);
CREATE FUNCTION logged() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO log (what) VALUES (TG_OP || ' ' || TG_TABLE_NAME || ' ' || TG_TABLE_SCHEMA);
  RETURN COALESCE(NEW, OLD);
END $$;
CREATE TABLE watched (a int PRIMARY KEY, b text);
CREATE TRIGGER watch AFTER INSERT OR UPDATE OR DELETE ON watched FOR EACH ROW EXECUTE FUNCTION logged();
INSERT INTO watched VALUES (1, 'x'), (2, 'y');
UPDATE watched SET b = 'z' WHERE a = 1;
DELETE FROM watched WHERE a = 2;
SELECT id, what FROM log ORDER BY id;
BEGIN;
INSERT INTO watched VALUES (3, 'undone');
ROLLBACK;
SELECT count(*) FROM log;
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no % today', TG_OP USING HINT = 'Come back.', ERRCODE = 'P0042'; END $$;
CREATE TRIGGER no BEFORE TRUNCATE ON watched FOR EACH STATEMENT EXECUTE FUNCTION refuse();
TRUNCATE watched;
\set VERBOSITY verbose
TRUNCATE watched;
\set VERBOSITY default
CREATE FUNCTION dynamic(name text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
  EXECUTE format('SELECT count(*) FROM %I', name) INTO n;
  RETURN n;
END $$;
SELECT dynamic('watched'), dynamic('log');
SELECT dynamic('missing');
CREATE FUNCTION here() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN current_schema() || ' ' || current_setting('search_path'); END $$;
SELECT here();
SET search_path TO public, acme_dynamic;
SELECT here();
RESET search_path;
CREATE FUNCTION fixed() RETURNS text LANGUAGE plpgsql SET search_path = public AS $$ BEGIN RETURN current_schema(); END $$;
SELECT fixed(), current_schema();
CREATE FUNCTION settings() RETURNS text LANGUAGE plpgsql SET work_mem = '7MB' AS $$ BEGIN RETURN current_setting('work_mem'); END $$;
SELECT settings();
SHOW work_mem;
CREATE FUNCTION sets() RETURNS void LANGUAGE plpgsql AS $$ BEGIN SET work_mem = '9MB'; END $$;
SELECT sets();
SHOW work_mem;
SELECT set_config('app.by_hand', 'x', false);
DO $$ BEGIN PERFORM set_config('app.by_do', 'y', false); END $$;
SELECT current_setting('app.by_do', true);
RESET ALL;
SHOW work_mem;
CREATE PROCEDURE proc(INOUT n int) LANGUAGE plpgsql AS $$ BEGIN n := n * 2; END $$;
CALL proc(21);
CREATE PROCEDURE committing() LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO log (what) VALUES ('kept');
  COMMIT;
  INSERT INTO log (what) VALUES ('undone');
  ROLLBACK;
END $$;
CALL committing();
SELECT what FROM log WHERE what IN ('kept', 'undone');
BEGIN;
CALL committing();
ROLLBACK;
DO $$ BEGIN INSERT INTO log (what) VALUES ('kept by do'); COMMIT; INSERT INTO log (what) VALUES ('undone'); ROLLBACK; END $$;
SELECT what FROM log WHERE what IN ('kept by do', 'undone');
CREATE FUNCTION caught() RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO watched VALUES (1, 'duplicate');
  RETURN 'inserted';
EXCEPTION WHEN unique_violation THEN
  RETURN 'caught ' || SQLSTATE;
END $$;
SELECT caught();
CREATE FUNCTION cursor_of() RETURNS refcursor LANGUAGE plpgsql AS $$ DECLARE c refcursor := 'mine'; BEGIN OPEN c FOR SELECT * FROM watched ORDER BY a; RETURN c; END $$;
BEGIN;
SELECT cursor_of();
FETCH ALL FROM mine;
COMMIT;
CREATE FUNCTION temp_maker() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CREATE TEMP TABLE from_function (a int); INSERT INTO from_function VALUES (5); END $$;
SELECT temp_maker();
SELECT * FROM from_function;
SELECT temp_maker();
DROP TABLE from_function;
SELECT query_to_xml('SELECT 1 AS one', false, true, '') IS NOT NULL;
CREATE AGGREGATE joined(text) (SFUNC = textcat, STYPE = text, INITCOND = '>');
SELECT joined(what) FROM (SELECT what FROM log ORDER BY id LIMIT 2) x;
CREATE OPERATOR +++ (LEFTARG = int, RIGHTARG = int, FUNCTION = add);
SELECT 1 +++ 2;
CREATE VIEW with_function AS SELECT add(a, 1) FROM watched;
SELECT * FROM with_function;
ALTER FUNCTION add(int, int) RENAME TO added;
SELECT add(1, 2);
SELECT * FROM with_function;
CREATE FUNCTION bad() RETURNS int LANGUAGE sql AS 'SELECT * FROM missing';
CREATE FUNCTION bad() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN;';
CREATE FUNCTION bad() RETURNS int LANGUAGE nolang AS 'x';
SET check_function_bodies = off;
CREATE FUNCTION bad() RETURNS int LANGUAGE sql AS 'SELECT a FROM missing';
SELECT bad();
CREATE TABLE missing (a int);
INSERT INTO missing VALUES (77);
SELECT bad();
DO $$ BEGIN EXECUTE 'CREATE TABLE by_do AS SELECT 1 AS a'; END $$;
SELECT * FROM by_do;
DROP FUNCTION added(int, int) CASCADE;
DROP FUNCTION nothing();
