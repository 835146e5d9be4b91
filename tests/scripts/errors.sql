-- Errors and where they point to.
CREATE TABLE t (id int PRIMARY KEY, name text NOT NULL, n int CHECK (n > 0), CONSTRAINT short CHECK (length(name) < 10));
INSERT INTO t VALUES (1, 'one', 1);
-- a moment, in which a proxy can learn what there is
SELECT pg_sleep(0.3);
SELECT * FROM missing;
SELECT missing FROM t;
SELECT t.missing FROM t;
SELECT x.id FROM t;
SELECT * FROM t WHERE id = 'abc';
SELECT * FROM t WHERE;
SELECT * FROM t ORDER BY missing;
SELECT
    id,
    name,
    nothing
FROM t;
SELECT * FROM t t1 JOIN missing m ON m.id = t1.id;
SELECT *
FROM t
WHERE id IN (SELECT id FROM missing);
SELEC * FROM t;
SELECT * FORM t;
SELECT (1;
SELECT 1);
INSERT INTO t VALUES (1, 'again', 1);
INSERT INTO t VALUES (2, NULL, 1);
INSERT INTO t VALUES (2, 'two', -1);
INSERT INTO t VALUES (2, 'far too long a name', 1);
INSERT INTO t (id, missing) VALUES (2, 'x');
INSERT INTO t VALUES (2);
INSERT INTO t VALUES (2, 'x', 1, 4);
INSERT INTO missing VALUES (1);
UPDATE t SET missing = 1;
UPDATE missing SET a = 1;
UPDATE t SET id = 'x';
DELETE FROM t WHERE missing = 1;
DELETE FROM missing;
SELECT 1 / 0;
SELECT 1 / n FROM (SELECT 0 AS n FROM t) x;
SELECT 'x'::int;
SELECT CAST('2026-13-01' AS date);
SELECT nofunction(1);
SELECT nofunction(id) FROM t;
SELECT lower(1, 2);
SELECT id || 1 FROM t;
SELECT 'a' + 'b';
SELECT id FROM t UNION SELECT name FROM t;
SELECT id, count(*) FROM t;
SELECT count(*) FROM t GROUP BY missing;
SELECT * FROM t HAVING id = 1;
SELECT * FROM t WHERE count(*) > 1;
SELECT sum(sum(id)) FROM t;
SELECT (SELECT id, name FROM t);
SELECT (SELECT 1 FROM generate_series(1, 2));
SELECT ARRAY[1, 'x'];
SELECT id FROM t, t;
SELECT id FROM t a, t b;
SELECT t.id FROM t AS x;
UPDATE t AS x SET n = t.n + 1;
DELETE FROM t x WHERE t.id = 1;
INSERT INTO t AS x VALUES (1, 'one', 1) ON CONFLICT (id) DO UPDATE SET n = t.n;
CREATE TYPE mood AS ENUM ('sad', 'happy');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TABLE typed (m mood, p positive);
CREATE TABLE named (r regclass, y regtype);
INSERT INTO typed VALUES ('angry', 1);
-- a moment, in which a proxy can learn what there is
SELECT pg_sleep(0.3);
INSERT INTO typed VALUES ('angry', 1);
INSERT INTO typed VALUES ('sad', -1);
INSERT INTO typed VALUES ('sad', 1) RETURNING *;
INSERT INTO named VALUES ('t', 'mood') RETURNING *;
SELECT r, y, r::text FROM named;
INSERT INTO typed (m) VALUES (1);
SELECT m + 1 FROM typed;
SELECT m || 1 FROM typed WHERE m > 2;
SELECT p::mood FROM typed;
SELECT sum(m) FROM typed;
SELECT 'x'::positive FROM typed;
UPDATE typed SET m = 'none';
SELECT CASE WHEN true THEN m ELSE p END FROM typed;
SELECT * FROM typed;
EXPLAIN (COSTS OFF) SELECT * FROM typed WHERE m = 'sad';
EXPLAIN (COSTS OFF, VERBOSE) SELECT m FROM typed WHERE m::text = 'sad';
DROP TABLE typed, named;
DROP TYPE mood, positive;
SELECT * FROM t AS a (x, y, z, w);
SELECT * FROM generate_series(1, 2) AS g (a, b);
SELECT 'ö' AS "ü", 'é', missing FROM t;
SELECT 'äöü', * FROM missing;
SELECT '日本語', nothing FROM t;
/* a comment
   of two lines */ SELECT missing FROM t;
-- a comment in front
SELECT /* inside */ id /* /* nested */ */ , missing /* behind */ FROM t;
SELECT $$dollar$$, $tag$ quoted $tag$, missing FROM t;
SELECT E'esc\'aped', missing FROM t;
SELECT U&'\0041', U&"missing" FROM t;
SELECT 'two'
    'parts', missing FROM t;
SELECT "id" , "Missing" FROM "t";
SELECT * FROM "T";
SELECT * FROM public.missing;
SELECT * FROM acme_errors.missing;
SELECT acme_errors.t.id, acme_errors.t.missing FROM acme_errors.t;
SELECT (t).missing FROM t;
SELECT id.* FROM t;
SELECT * FROM t LIMIT 'x';
SELECT * FROM t LIMIT -1;
SELECT DISTINCT ON (id) name FROM t ORDER BY name;
WITH x AS (SELECT missing FROM t) SELECT * FROM x;
WITH x AS (SELECT 1) SELECT * FROM y;
WITH RECURSIVE r AS (SELECT 1 UNION ALL SELECT missing FROM r) SELECT * FROM r;
SELECT rank() OVER w FROM t;
SELECT row_number() FROM t;
SELECT * FROM t TABLESAMPLE nonsense (5);
SELECT * FROM t FOR UPDATE OF x;
TABLE missing;
VALUES (1, 2), (3);
CREATE TABLE t (a int);
CREATE TABLE u (a int, a int);
CREATE TABLE u (a missingtype);
CREATE TABLE u (a int REFERENCES missing);
CREATE TABLE u (a int REFERENCES t (name));
CREATE TABLE u (a int DEFAULT 'x');
CREATE TABLE u (a int DEFAULT missing());
CREATE TABLE u (LIKE missing);
CREATE TABLE u () INHERITS (missing);
CREATE INDEX ON t (missing);
CREATE INDEX ON missing (a);
CREATE VIEW v AS SELECT missing FROM t;
ALTER TABLE t ADD COLUMN id int;
ALTER TABLE t DROP COLUMN missing;
ALTER TABLE t ALTER COLUMN name TYPE int;
ALTER TABLE t ADD CONSTRAINT neg CHECK (id < 0);
ALTER TABLE missing ADD a int;
DROP TABLE missing;
DROP VIEW t;
DROP INDEX missing;
DROP FUNCTION missing(int);
DROP TYPE missing;
TRUNCATE missing;
COMMENT ON TABLE missing IS 'x';
GRANT SELECT ON missing TO app;
GRANT SELECT ON t TO nobody_here;
EXPLAIN SELECT * FROM missing;
PREPARE p AS SELECT * FROM missing;
DECLARE c CURSOR FOR SELECT * FROM missing;
SELECT 'missing'::regclass;
SELECT 'missing'::regtype;
SELECT 'missing'::regproc;
SELECT 'missing(int)'::regprocedure;
SELECT '{1,2'::int[];
SELECT '{"a": }'::json;
SELECT '[1,2'::jsonb -> 0;
SELECT to_date('x', 'YYYY');
SELECT '1 fortnight'::interval;
SELECT 99999999999::int;
SELECT 2147483647 + 1;
SELECT sqrt(-1);
SELECT ln(0);
SELECT substring('x' FROM 1 FOR -1);
SELECT '(1,2'::point;
SELECT regexp_replace('x', '(', '');
SELECT 'x' ~ '[';
SELECT '\xzz'::bytea;
SELECT E'\xff';
SELECT chr(0);
-- several in one message: the position is that of the whole
SELECT 1\; SELECT missing FROM t;
SELECT id FROM t\; SELECT name FROM t\; SELECT * FROM missing\; SELECT 4;
SELECT id FROM t\; SELEC;
BEGIN\; SELECT id FROM t\; SELECT missing FROM t\; COMMIT;
SELECT 1;
ROLLBACK;
SET LOCAL work_mem = '7MB'\; SELECT missing FROM t;
-- verbose
\set VERBOSITY verbose
SELECT * FROM missing;
SELECT missing FROM t;
SELECT * FROM t WHERE id = 'abc';
SELECT id FROM t\; SELECT missing FROM t;
INSERT INTO t VALUES (1, 'again', 1);
INSERT INTO t VALUES (2, NULL, 1);
INSERT INTO t VALUES (2, 'two', -1);
SELECT * FORM t;
SELECT nofunction(id) FROM t;
SELECT 1 / 0;
DROP TABLE missing;
DROP TABLE IF EXISTS missing;
CREATE TABLE IF NOT EXISTS t (a int);
ROLLBACK;
BEGIN;
SELECT missing;
SELECT 1;
COMMIT;
\set VERBOSITY sqlstate
SELECT * FROM missing;
INSERT INTO t VALUES (1, 'again', 1);
SELECT * FORM t;
\set VERBOSITY terse
SELECT * FROM missing;
SELECT missing FROM t;
SELECT id, name FROM t WHERE missing;
INSERT INTO t VALUES (1, 'again', 1);
\set VERBOSITY default
\set SHOW_CONTEXT always
SELECT '{"a": x}'::json;
SELECT json_array_elements('[1, 2');
\set SHOW_CONTEXT errors
-- quotes that are not closed, as their own messages
SELECT missing \g
SELECT $1;
SELECT $1::int + 1;
SELECT :'nothing';
SELECT 1 AS one \gset
SELECT :one + missing FROM t;
SELECT format('SELECT missing_%s FROM t', n) FROM generate_series(1, 2) n \gexec
SELECT 'SELECT ''unclosed', 'SELECT "unclosed', 'SELECT $$unclosed', 'SELECT /* unclosed', 'SELECT 1 +', E'SELECT E\'\\' \gexec
SELECT '-- only a comment', '', ';;', 'SELECT 1; SELECT missing FROM t', 'SELECT 1;;; SELECT 2' \gexec
SELECT 'BEGIN; SELECT count(*) FROM t; SELECT missing', 'SELECT 1', 'ROLLBACK' \gexec
-- long lines
SELECT 'a long literal that pushes the error far to the right, so that the line must be cut', 'another one of the same kind', id, name, n, missing_column, 'and more behind it, so that it is cut at both ends' FROM t;
SELECT id FROM t WHERE id = 1 AND name = 'one' AND n = 1 AND id = 1 AND name = 'one' AND n = 1 AND id = 1 AND name = 'one' AND wrong = 1 AND id = 1 AND name = 'one' AND n = 1 AND id = 1;
-- what is too large or too deep
SELECT length(repeat('x', 1000000));
SELECT * FROM t WHERE name = repeat('x', 300000) || missing;
SELECT current_setting('no.such');
SELECT pg_typeof(missing) FROM t;
SELECT has_table_privilege('missing', 'SELECT');
SELECT pg_get_viewdef('missing');
SELECT nextval('missing');
SELECT to_regclass('missing'), to_regtype('missing');
DROP TABLE t;
