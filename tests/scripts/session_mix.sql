-- Features of a session, one in the middle of another.
CREATE TABLE acc (id int PRIMARY KEY, owner text, amount int CHECK (amount >= 0));
INSERT INTO acc VALUES (1, 'ann', 100), (2, 'ben', 50);
-- a moment, in which a proxy can learn what there is
SELECT pg_sleep(0.3);
SET work_mem = '6MB';
SET app.who = 'ann';
BEGIN;
UPDATE acc SET amount = amount - 30 WHERE owner = current_setting('app.who');
SAVEPOINT before_ben;
SET LOCAL app.who = 'ben';
UPDATE acc SET amount = amount + 30 WHERE owner = current_setting('app.who');
SELECT * FROM acc ORDER BY id;
UPDATE acc SET amount = amount - 1000;
ROLLBACK TO before_ben;
SHOW app.who;
SHOW work_mem;
SELECT * FROM acc ORDER BY id;
ROLLBACK;
SELECT * FROM acc ORDER BY id;
SHOW app.who;
-- a temporary table shadows, a prepared statement and a cursor were there before
PREPARE all_acc AS SELECT id, amount FROM acc ORDER BY id;
EXECUTE all_acc;
DECLARE held CURSOR WITH HOLD FOR SELECT owner FROM acc ORDER BY id;
CREATE TEMP TABLE acc (id int, amount int);
INSERT INTO acc VALUES (77, 7);
EXECUTE all_acc;
FETCH 1 FROM held;
SELECT * FROM acc;
SELECT owner FROM acme_session_mix.acc ORDER BY id;
DROP TABLE acc;
EXECUTE all_acc;
FETCH ALL FROM held;
CLOSE held;
-- the path changes in the middle
PREPARE count_plans AS SELECT count(*) FROM plans;
EXECUTE count_plans;
CREATE TABLE plans (id int);
EXECUTE count_plans;
BEGIN;
SET LOCAL search_path TO public;
SELECT count(*) FROM plans;
COMMIT;
EXECUTE count_plans;
SET search_path TO public, acme_session_mix;
SELECT count(*) FROM plans;
SELECT count(*) FROM acc;
DISCARD ALL;
SELECT count(*) FROM plans;
EXECUTE count_plans;
DROP TABLE plans;
SELECT count(*) FROM plans;
-- COPY in a transaction with a savepoint and a setting
BEGIN;
SET LOCAL DateStyle = 'German';
CREATE TEMP TABLE days (d date) ON COMMIT DROP;
COPY days FROM STDIN;
24.12.2026
31.12.2026
\.
SELECT * FROM days ORDER BY d;
SAVEPOINT s;
COPY days FROM STDIN;
12/24/2026
\.
ROLLBACK TO s;
COPY days TO STDOUT;
COMMIT;
SELECT date '2026-12-24';
SELECT * FROM days;
-- an advisory lock over transactions, and random
SELECT pg_advisory_lock(4001);
SELECT setseed(0.42);
SELECT (random() * 1000)::int;
BEGIN;
SELECT (random() * 1000)::int;
SELECT 1 / 0;
ROLLBACK;
SELECT (random() * 1000)::int;
SELECT pg_advisory_unlock(4001);
SELECT pg_advisory_unlock(4001);
-- DDL while a cursor is open
BEGIN;
DECLARE c CURSOR FOR SELECT * FROM acc ORDER BY id;
FETCH 1 FROM c;
ALTER TABLE acc ADD note text;
CREATE TABLE acc2 AS SELECT * FROM acc;
ALTER TABLE acc2 ADD note text;
SELECT * FROM acc2 ORDER BY id;
FETCH 1 FROM c;
ROLLBACK;
SELECT * FROM acc2;
-- settings that change how answers look
SET bytea_output = 'escape';
SET extra_float_digits = -5;
SET IntervalStyle = 'postgres_verbose';
SELECT '\x00ff'::bytea, 1 / 3::float8, interval '1 day -2 hours';
BEGIN;
RESET ALL;
SELECT '\x00ff'::bytea, 1 / 3::float8, interval '1 day -2 hours';
ROLLBACK;
SELECT '\x00ff'::bytea, 1 / 3::float8, interval '1 day -2 hours';
RESET ALL;
-- own settings and row security
CREATE TABLE docs (id int, owner text);
INSERT INTO docs VALUES (1, 'ann'), (2, 'ben'), (3, 'ann');
ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
ALTER TABLE docs FORCE ROW LEVEL SECURITY;
CREATE POLICY own ON docs USING (owner = current_setting('app.who', true));
SELECT count(*) FROM docs;
SET app.who = 'ann';
SELECT id FROM docs ORDER BY id;
BEGIN;
SET LOCAL app.who = 'ben';
SELECT id FROM docs ORDER BY id;
COMMIT;
SELECT id FROM docs ORDER BY id;
INSERT INTO docs VALUES (4, 'ben');
SELECT set_config('app.who', 'ben', false);
INSERT INTO docs VALUES (4, 'ben');
SELECT id FROM docs ORDER BY id;
RESET app.who;
SELECT count(*) FROM docs;
-- a failed transaction with everything in it
SET work_mem = '7MB';
BEGIN;
SET work_mem = '8MB';
SET search_path TO public;
PREPARE in_failed AS SELECT 'still here';
DECLARE c CURSOR WITH HOLD FOR SELECT 1;
CREATE TEMP TABLE never (a int);
SELECT nothing;
SHOW work_mem;
EXECUTE in_failed;
FETCH c;
COMMIT;
SHOW work_mem;
SHOW search_path;
EXECUTE in_failed;
FETCH c;
SELECT * FROM never;
SELECT count(*) FROM acc;
-- reconnecting begins anew
SET app.who = 'ann';
CREATE TEMP TABLE of_the_first (a int);
\c -
SELECT current_setting('app.who', true) IS NULL;
SELECT * FROM of_the_first;
EXECUTE in_failed;
SHOW work_mem;
SHOW search_path;
SELECT * FROM acc ORDER BY id;
-- sequences between transactions
CREATE SEQUENCE tickets;
BEGIN;
SELECT nextval('tickets');
SELECT currval('tickets');
COMMIT;
SELECT nextval('tickets');
BEGIN;
SAVEPOINT a;
SELECT nextval('tickets');
ROLLBACK TO a;
SELECT currval('tickets');
COMMIT;
-- messages with many statements
BEGIN\; SET LOCAL work_mem = '9MB'\; SHOW work_mem\; SELECT count(*) FROM acc\; SAVEPOINT s\; SELECT nothing;
ROLLBACK TO s\; SHOW work_mem\; SELECT count(*) FROM acc\; COMMIT\; SHOW work_mem;
CREATE TEMP TABLE t (a int)\; INSERT INTO t VALUES (1)\; SELECT * FROM t\; DROP TABLE t\; SELECT count(*) FROM acc;
PREPARE x AS SELECT count(*) FROM acc\; EXECUTE x\; SET search_path TO public\; SELECT count(*) FROM acc;
EXECUTE x;
SHOW search_path;
SELECT nextval('tickets')\; SET work_mem = '10MB'\; COMMIT\; SHOW work_mem\; BEGIN\; SET work_mem = '11MB'\; ROLLBACK\; SHOW work_mem;
DISCARD ALL;
SHOW work_mem;
DROP TABLE acc, docs;
DROP SEQUENCE tickets;
