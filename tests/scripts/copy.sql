-- COPY in and out, good and bad. Where it fails at once, a newer psql still looks for the end of its data.
CREATE TABLE t (a int, b text, c numeric DEFAULT 9.5);
COPY t FROM STDIN;
1	one	1.5
2	two	\N
3	\N	3
\.
COPY t TO STDOUT;
-- a moment, in which a proxy can learn what there is
SELECT pg_sleep(0.3);
COPY t (b, a) TO STDOUT;
COPY t (a, b) FROM STDIN;
4	tab\tin it
5	line\nin it
6	back\\slash
\.
SELECT * FROM t ORDER BY a;
COPY t TO STDOUT WITH (FORMAT csv, HEADER);
COPY t TO STDOUT WITH (FORMAT csv, FORCE_QUOTE *, NULL 'none');
COPY t TO STDOUT (DELIMITER '|', NULL '-');
COPY t TO STDOUT CSV HEADER DELIMITER ';' QUOTE '''';
COPY t (a, b) FROM STDIN WITH CSV;
7,"comma, and ""quotes"""
8,
9,""
\.
COPY t (a, b) FROM STDIN (FORMAT csv, HEADER true, NULL 'null');
a,b
10,null
\.
COPY t FROM STDIN DELIMITER ',';
11,eleven,11
\.
SELECT a, b, b IS NULL AS none FROM t WHERE a > 6 ORDER BY a;
COPY (SELECT a, b FROM t WHERE a < 3 ORDER BY a) TO STDOUT;
COPY (SELECT a * 2, upper(b) FROM t ORDER BY a LIMIT 2) TO STDOUT CSV;
COPY (VALUES (1, 'x'), (2, 'y')) TO STDOUT;
COPY (INSERT INTO t VALUES (12, 'returned') RETURNING a, b) TO STDOUT;
COPY (DELETE FROM t WHERE a = 12 RETURNING *) TO STDOUT;
COPY (WITH x AS (SELECT a FROM t WHERE a = 1) SELECT * FROM x) TO STDOUT;
COPY (SELECT p.name, t.a FROM plans p JOIN t ON t.a = p.id ORDER BY 1) TO STDOUT;
-- errors in the middle
COPY t FROM STDIN;
20	twenty	20
x	not a number	1
22	never	22
\.
SELECT count(*) FROM t WHERE a >= 20;
COPY t FROM STDIN;
20	too	few	many	columns
\.
COPY t FROM STDIN;
20
\.
COPY t (a, nothing) FROM STDIN;
\.
COPY missing FROM STDIN;
\.
COPY missing TO STDOUT;
COPY t TO STDOUT (FORMAT nonsense);
COPY t FROM STDIN (DELIMITER 'ab');
\.
COPY t (a, a) FROM STDIN;
\.
COPY (SELECT 1 / 0) TO STDOUT;
COPY (SELECT 10 / (2 - a) FROM t WHERE a < 4 ORDER BY a) TO STDOUT;
COPY (SELECT nothing FROM t) TO STDOUT;
SELECT count(*) FROM t;
-- in transactions
BEGIN;
COPY t FROM STDIN;
30	thirty	30
\.
SELECT count(*) FROM t WHERE a = 30;
ROLLBACK;
SELECT count(*) FROM t WHERE a = 30;
BEGIN;
COPY t FROM STDIN;
31	thirty-one	31
\.
COPY t FROM STDIN;
y	bad	1
\.
COPY t TO STDOUT;
COPY t FROM STDIN;
\.
COMMIT;
SELECT count(*) FROM t WHERE a = 31;
BEGIN;
SAVEPOINT s;
COPY t FROM STDIN;
z	bad	1
\.
ROLLBACK TO s;
COPY t FROM STDIN;
32	after	32
\.
COMMIT;
SELECT * FROM t WHERE a = 32;
BEGIN READ ONLY;
COPY t TO STDOUT (FORMAT csv);
COPY t FROM STDIN;
\.
ROLLBACK;
-- constraints, defaults and generated columns
CREATE TABLE g (id int PRIMARY KEY, twice int GENERATED ALWAYS AS (id * 2) STORED, small int CHECK (small < 10));
COPY g (id, small) FROM STDIN;
1	1
2	2
\.
SELECT * FROM g ORDER BY id;
COPY g TO STDOUT;
COPY g (id, small) FROM STDIN;
3	3
3	3
\.
COPY g (id, small) FROM STDIN;
4	40
\.
COPY g (twice) FROM STDIN;
\.
COPY g (id, small) FROM STDIN WHERE id > 100;
99	1
101	1
\.
SELECT * FROM g ORDER BY id;
CREATE VIEW v AS SELECT a FROM t;
COPY v TO STDOUT;
COPY (SELECT * FROM v ORDER BY a LIMIT 1) TO STDOUT;
COPY v FROM STDIN;
\.
CREATE TABLE parts (a int, b text) PARTITION BY RANGE (a);
CREATE TABLE parts_low PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE parts_high PARTITION OF parts FOR VALUES FROM (10) TO (20);
COPY parts FROM STDIN;
1	low
11	high
\.
COPY parts FROM STDIN;
21	nowhere
\.
SELECT tableoid::regclass, * FROM parts ORDER BY a;
COPY parts TO STDOUT;
COPY parts_low TO STDOUT;
-- psql's \copy
\copy t (a, b) from stdin
40	forty
41	forty-one
\.
\copy (select a, b from t where a >= 40 order by a) to stdout
\copy t to stdout csv header
\copy missing to stdout
\copy missing from stdin
\.
\copy t from stdin (format nonsense)
\.
\copy acme_copy.t (a) from stdin csv
42
\.
SELECT a FROM t WHERE a >= 40 ORDER BY a;
-- several in one message
SELECT 1\; COPY (SELECT 2) TO STDOUT\; SELECT 3;
COPY t (a) FROM STDIN\; SELECT count(*) FROM t WHERE a >= 50;
50
51
\.
BEGIN\; COPY t (a) FROM STDIN\; COMMIT;
52
\.
SELECT a FROM t WHERE a >= 50 ORDER BY a;
COPY t (a) FROM STDIN\; COPY t (a) FROM STDIN;
53
\.
54
\.
SELECT a FROM t WHERE a >= 50 ORDER BY a;
COPY (SELECT 1) TO STDOUT\; COPY (SELECT count(*) FROM t) TO STDOUT;
COPY t (a) FROM STDIN\; SELECT 1 / 0;
60
\.
SELECT count(*) FROM t WHERE a = 60;
-- other things
COPY t FROM STDIN;
\.
COPY t (a) FROM STDIN (FREEZE);
70
\.
COPY t (a) FROM STDIN (ENCODING 'LATIN1');
71
\.
COPY t (a) FROM STDIN (ENCODING 'nonsense');
\.
COPY (SELECT g, repeat('x', 200) FROM generate_series(1, 20) g) TO STDOUT;
COPY BINARY missing TO STDOUT;
CREATE TEMP TABLE tt AS SELECT 1 AS a;
COPY tt TO STDOUT;
SET search_path TO public;
COPY plans TO STDOUT;
COPY acme_copy.g TO STDOUT;
RESET search_path;
COPY plans TO STDOUT;
COPY public.plans (name) TO STDOUT;
DROP VIEW v;
DROP TABLE t, g, parts;
-- newer psqls look for the end of the quote to the end of the file, so it is the last
CREATE TABLE last (a int, b text);
COPY last FROM STDIN CSV;
20,"unterminated
\.
