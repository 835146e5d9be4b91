-- The extended protocol by psql's \bind, which came with version 16.
CREATE TABLE t (id int PRIMARY KEY, name text);
INSERT INTO t VALUES ($1, $2) \bind 1 one \g
INSERT INTO t VALUES ($1, $2), ($3, $4) \bind 2 two 3 three \g
SELECT * FROM t ORDER BY id \bind \g
SELECT name FROM t WHERE id = $1 \bind 2 \g
SELECT name FROM t WHERE id = $1 \bind x \g
SELECT name FROM t WHERE id = $1 \bind \g
SELECT missing FROM t WHERE id = $1 \bind 1 \g
SELECT * FROM missing WHERE id = $1 \bind 1 \g
SELECT $1::int + $2::int AS sum \bind 1 2 \gx
INSERT INTO t VALUES ($1, $2) \bind 1 again \g
BEGIN \bind \g
UPDATE t SET name = upper(name) WHERE id = $1 RETURNING name \bind 1 \g
SAVEPOINT a \bind \g
DELETE FROM t WHERE id < $1 \bind 3 \g
SELECT count(*) FROM t \bind \g
ROLLBACK TO a \bind \g
SELECT count(*) FROM t \bind \g
SELECT 1 / $1::int \bind 0 \g
SELECT 1 \bind \g
ROLLBACK \bind \g
SELECT * FROM t ORDER BY id \bind \g
SET work_mem = '7MB' \bind \g
SHOW work_mem \bind \g
SET search_path TO public \bind \g
SELECT name FROM plans WHERE id = $1 \bind 1 \g
SELECT * FROM t \bind \g
RESET ALL \bind \g
SELECT count(*) FROM t \bind \g
SELECT set_config('work_mem', $1, false) \bind 9MB \g
SHOW work_mem;
PREPARE p (int) AS SELECT name FROM t WHERE id = $1;
EXECUTE p(2) \bind \g
CREATE TEMP TABLE t (other text) \bind \g
SELECT * FROM t \bind \g
DROP TABLE pg_temp.t \bind \g
SELECT name FROM t WHERE id = $1 \bind 3 \g
SELECT 1 \; SELECT 2 \bind \g
CREATE TABLE u AS SELECT * FROM t \bind \g
ALTER TABLE u ADD more int DEFAULT 5 \bind \g
SELECT * FROM u WHERE id = $1 \bind 1 \g
DISCARD ALL \bind \g
SHOW work_mem \bind \g
DROP TABLE t, u \bind \g
