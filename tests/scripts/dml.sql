-- INSERT, UPDATE, DELETE, MERGE and SELECT in their richer forms.
CREATE TABLE stock (item text PRIMARY KEY, n int NOT NULL DEFAULT 0, at timestamptz DEFAULT '2026-01-01 00:00+00');
CREATE TABLE delivery (item text, n int);
CREATE TABLE log (id serial, item text, note text);
INSERT INTO stock (item, n) VALUES ('apple', 10), ('pear', 5), ('fig', 0);
INSERT INTO delivery VALUES ('apple', 3), ('kiwi', 7), ('fig', -1);
-- a moment, in which a proxy can learn what there is
SELECT pg_sleep(0.3);
INSERT INTO stock DEFAULT VALUES;
INSERT INTO stock (item) VALUES ('plum') RETURNING *;
INSERT INTO stock (item, n) SELECT item || '!', n FROM stock WHERE n > 4 RETURNING item, n * 2 AS double;
DELETE FROM stock WHERE item LIKE '%!' RETURNING item;
-- ON CONFLICT
INSERT INTO stock (item, n) VALUES ('apple', 1);
INSERT INTO stock (item, n) VALUES ('apple', 1) ON CONFLICT DO NOTHING;
INSERT INTO stock (item, n) VALUES ('apple', 1), ('lime', 2) ON CONFLICT (item) DO UPDATE SET n = stock.n + excluded.n RETURNING item, n;
INSERT INTO stock AS s (item, n) VALUES ('pear', 1) ON CONFLICT ON CONSTRAINT stock_pkey DO UPDATE SET n = s.n + excluded.n WHERE s.n > 100 RETURNING *;
INSERT INTO stock (item, n) VALUES ('x', 1), ('x', 2) ON CONFLICT (item) DO UPDATE SET n = excluded.n;
INSERT INTO stock (item, n) VALUES ('x', 1) ON CONFLICT (n) DO NOTHING;
INSERT INTO stock (item, n) VALUES ('x', 1) ON CONFLICT ON CONSTRAINT missing DO NOTHING;
INSERT INTO stock (item, n) SELECT item, n FROM delivery ON CONFLICT (item) DO UPDATE SET (n, at) = (SELECT excluded.n + 100, stock.at) RETURNING item, n;
SELECT item, n FROM stock ORDER BY item;
-- MERGE
MERGE INTO stock s USING delivery d ON s.item = d.item
    WHEN MATCHED AND s.n + d.n <= 100 THEN DELETE
    WHEN MATCHED THEN UPDATE SET n = s.n + d.n
    WHEN NOT MATCHED THEN INSERT (item, n) VALUES (d.item, d.n);
SELECT item, n FROM stock ORDER BY item;
MERGE INTO stock USING (SELECT 'apple' AS item UNION ALL SELECT 'apple') d ON stock.item = d.item WHEN MATCHED THEN UPDATE SET n = 0;
MERGE INTO stock s USING missing m ON s.item = m.item WHEN MATCHED THEN DO NOTHING;
MERGE INTO missing s USING delivery m ON s.item = m.item WHEN MATCHED THEN DO NOTHING;
MERGE INTO stock s USING delivery d ON s.item = d.item WHEN MATCHED THEN UPDATE SET missing = 1;
MERGE INTO stock s USING plans p ON s.item = p.name WHEN NOT MATCHED THEN INSERT (item, n) VALUES (p.name, p.price_cents);
SELECT item, n FROM stock ORDER BY item;
WITH d AS (SELECT 'free' AS item) MERGE INTO stock s USING d ON s.item = d.item WHEN MATCHED THEN DELETE;
DELETE FROM stock s USING plans p WHERE s.item = p.name RETURNING s.item, p.id;
-- UPDATE and DELETE with others
UPDATE stock SET n = 1;
UPDATE stock s SET n = s.n + d.n FROM delivery d WHERE d.item = s.item RETURNING s.item, s.n, d.n;
UPDATE stock SET (n, at) = (7, DEFAULT) WHERE item = 'pear' RETURNING n, at IS NOT NULL;
UPDATE stock SET n = (SELECT sum(n) FROM delivery) WHERE item = 'lime' RETURNING *;
UPDATE ONLY stock SET n = n WHERE false;
UPDATE stock SET n = NULL WHERE item = 'pear';
DELETE FROM delivery d USING stock s WHERE s.item = d.item AND d.n < 0 RETURNING d.*;
DELETE FROM delivery WHERE item IN (SELECT item FROM stock WHERE n > 5) RETURNING item;
DELETE FROM delivery WHERE item = 'nothing';
-- CTEs that write
WITH moved AS (DELETE FROM stock WHERE item = 'plum' RETURNING item, n)
INSERT INTO log (item, note) SELECT item, 'moved ' || n FROM moved RETURNING *;
WITH a AS (INSERT INTO stock (item, n) VALUES ('melon', 3) RETURNING *), b AS (UPDATE stock SET n = n + 1 WHERE item = 'pear' RETURNING *)
SELECT item, n FROM a UNION ALL SELECT item, n FROM b;
WITH a AS (INSERT INTO log (item) VALUES ('a') RETURNING item), stock AS (SELECT 'shadow' AS item) SELECT a.item, stock.item FROM a, stock;
WITH t AS (UPDATE stock SET n = 50 RETURNING item) SELECT count(*) FROM t;
WITH RECURSIVE tree (n, path) AS (SELECT 1, '1' UNION ALL SELECT n + 1, path || '.' || n + 1 FROM tree WHERE n < 4) SELECT * FROM tree;
WITH RECURSIVE a AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM a WHERE n < 3), b AS (SELECT n * 10 AS n FROM a) SELECT a.n, b.n FROM a JOIN b ON b.n = a.n * 10;
WITH x AS NOT MATERIALIZED (SELECT * FROM stock) SELECT count(*) FROM x, x y;
WITH stock AS (SELECT 1 AS one) SELECT * FROM stock;
WITH a AS (WITH b AS (SELECT item FROM stock ORDER BY item LIMIT 1) SELECT * FROM b) SELECT * FROM a;
-- joins and subqueries
SELECT s.item, d.n FROM stock s LEFT JOIN delivery d USING (item) ORDER BY 1;
SELECT s.item, l.* FROM stock s, LATERAL (SELECT length(s.item) AS len, upper(s.item) AS up) l ORDER BY len, s.item;
SELECT s.item, x.note FROM stock s LEFT JOIN LATERAL (SELECT note FROM log WHERE log.item = s.item ORDER BY id LIMIT 1) x ON true ORDER BY 1;
SELECT s.item, g FROM stock s JOIN LATERAL generate_series(1, length(s.item) - 3) g ON true ORDER BY 1, 2;
SELECT item FROM stock WHERE EXISTS (SELECT FROM log WHERE log.item = stock.item) ORDER BY 1;
SELECT item FROM stock WHERE n = ANY (ARRAY(SELECT n FROM stock)) AND item > ALL (SELECT 'b') ORDER BY 1;
SELECT (SELECT max(n) FROM delivery), (SELECT item FROM stock ORDER BY item LIMIT 1);
SELECT * FROM (stock NATURAL JOIN delivery) AS j;
SELECT * FROM (stock s CROSS JOIN (VALUES (1)) v (k)) WHERE item = 'apple';
SELECT a.item FROM stock a JOIN (stock b JOIN stock c ON b.item = c.item) ON a.item = b.item ORDER BY 1;
SELECT * FROM stock s FULL JOIN delivery d ON s.item = d.item AND s.n > 1000 WHERE s.item IS NULL ORDER BY d.item;
SELECT stock FROM stock WHERE item = 'apple';
SELECT (stock).item, (stock.*) IS NOT NULL FROM stock WHERE item = 'apple';
SELECT s.* FROM stock AS s (thing, amount, since) WHERE thing = 'pear';
-- windows and aggregates
SELECT item, n, sum(n) OVER (ORDER BY item), rank() OVER (PARTITION BY n ORDER BY item) FROM stock ORDER BY item;
SELECT item, lag(item) OVER w, lead(item, 1, 'none') OVER w, first_value(item) OVER w FROM stock WINDOW w AS (ORDER BY item) ORDER BY item;
SELECT item, count(*) OVER (ORDER BY item ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) FROM stock ORDER BY item;
SELECT ntile(2) OVER (ORDER BY item), item FROM stock ORDER BY item;
SELECT length(item), count(*), array_agg(item ORDER BY item), string_agg(item, ',' ORDER BY item DESC) FROM stock GROUP BY 1 ORDER BY 1;
SELECT length(item) AS l, n, count(*) FROM stock GROUP BY GROUPING SETS ((l), (n), ()) ORDER BY 1, 2, 3;
SELECT length(item) AS l, n, count(*), grouping(n) FROM stock GROUP BY ROLLUP (length(item), n) ORDER BY 1, 2, 3;
SELECT count(*) FILTER (WHERE length(item) > 4), count(DISTINCT n), bool_and(n > 0), every(n < 5) FROM stock;
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY length(item)), mode() WITHIN GROUP (ORDER BY n) FROM stock;
SELECT n FROM stock GROUP BY n HAVING count(*) > 1;
SELECT DISTINCT ON (length(item)) length(item), item FROM stock ORDER BY length(item), item;
SELECT json_agg(item ORDER BY item), jsonb_object_agg(item, n) FROM stock;
SELECT row_to_json(s) FROM (SELECT item, n FROM stock ORDER BY item LIMIT 1) s;
-- sets and orders
SELECT item FROM stock UNION SELECT item FROM delivery ORDER BY 1;
SELECT item FROM stock INTERSECT SELECT item FROM delivery UNION ALL SELECT 'last' ORDER BY 1;
(SELECT item FROM stock ORDER BY item LIMIT 1) UNION ALL (SELECT item FROM delivery ORDER BY item LIMIT 1);
SELECT item FROM stock EXCEPT SELECT item FROM delivery ORDER BY 1 OFFSET 1;
SELECT item FROM stock ORDER BY item DESC NULLS LAST FETCH FIRST 2 ROWS ONLY;
SELECT item FROM stock ORDER BY length(item), item FETCH FIRST 1 ROW WITH TIES;
SELECT item FROM stock ORDER BY item USING >;
TABLE delivery ORDER BY 1;
VALUES (1, 'one'), (2, 'two') ORDER BY 1 DESC;
SELECT item FROM stock ORDER BY item FOR UPDATE;
SELECT item FROM stock ORDER BY item FOR SHARE OF stock NOWAIT;
SELECT;
SELECT FROM stock LIMIT 1;
-- the tenant's and the shared
SELECT u.name FROM users u WHERE u.id = 1;
SELECT count(*) FROM plans, stock;
SELECT p.name, s.item FROM public.plans p JOIN acme_dml.stock s ON length(s.item) = length(p.name) ORDER BY 1, 2;
CREATE TABLE users (id int, name text);
INSERT INTO users VALUES (1, 'of the tenant');
SELECT u.name FROM users u;
SELECT u.name, p.name FROM users u JOIN public.users p USING (id);
DROP TABLE users;
SELECT u.name FROM users u WHERE u.id = 1;
-- arrays, json, ranges, text, dates
CREATE TABLE rich (id int PRIMARY KEY, tags text[], data jsonb, span int4range, at timestamp);
INSERT INTO rich VALUES (1, '{a,b}', '{"k": {"d": [1, 2, {"e": "f"}]}}', '[1,5)', '2026-02-03 04:05:06'), (2, '{}', '[]', 'empty', NULL);
SELECT id, tags[1], tags || 'c', array_length(tags, 1), 'a' = ANY (tags) FROM rich ORDER BY id;
UPDATE rich SET tags[3] = 'z', data = jsonb_set(data, '{k,new}', '"v"') WHERE id = 1 RETURNING tags, data;
SELECT data -> 'k' -> 'd' ->> 0, data #>> '{k,d,2,e}', data @> '{"k": {"new": "v"}}', data ? 'k' FROM rich ORDER BY id;
SELECT jsonb_path_query(data, '$.k.d[*]') FROM rich WHERE id = 1;
SELECT r.id, e.key, e.value FROM rich r, jsonb_each(CASE WHEN jsonb_typeof(r.data) = 'object' THEN r.data END) e;
SELECT id, span @> 3, lower(span), isempty(span) FROM rich ORDER BY id;
SELECT extract(dow FROM at), date_trunc('month', at), to_char(at, 'YYYY "Q"Q'), at + interval '1 month' FROM rich WHERE id = 1;
SELECT id, unnest(tags) AS tag FROM rich ORDER BY 1, 2;
SELECT * FROM unnest(ARRAY[1, 2], ARRAY['a']) WITH ORDINALITY AS u (n, t, o);
SELECT * FROM ROWS FROM (generate_series(1, 2), generate_series(5, 7)) AS g (a, b);
SELECT * FROM jsonb_to_recordset('[{"a": 1, "b": "x"}, {"a": 2}]') AS r (a int, b text);
SELECT position('b' IN 'abc'), substring('abcdef' FROM 2 FOR 3), overlay('abcdef' PLACING 'X' FROM 3), trim(BOTH 'x' FROM 'xax');
SELECT 'abc' SIMILAR TO '(a|b)%', 'abc' ~ '^a', regexp_matches('a1b22', '\d+', 'g');
SELECT CASE n WHEN 50 THEN 'fifty' ELSE 'other' END, coalesce(NULL, 'x'), nullif(1, 1), greatest(1, 2) FROM stock ORDER BY item LIMIT 1;
SELECT cast(item AS varchar(2)), item::char(3) || '|', item COLLATE "C" FROM stock ORDER BY item LIMIT 2;
SELECT (ARRAY[[1, 2], [3, 4]])[2][1], ROW(1, 'x') < ROW(1, 'y'), 1 BETWEEN SYMMETRIC 2 AND 0, 1 IS DISTINCT FROM NULL;
SELECT xmlelement(name item, xmlattributes(1 AS n), 'text');
SELECT timestamptz '2026-03-01 12:00+00' AT TIME ZONE 'America/New_York', (date '2026-01-01', date '2026-02-01') OVERLAPS (date '2026-01-15', date '2026-03-01');
-- psql's variables and gset, gexec, crosstabview
SELECT item AS first_item FROM stock ORDER BY item LIMIT 1 \gset
SELECT n FROM stock WHERE item = :'first_item';
\set table stock
SELECT count(*) FROM :table;
SELECT count(*) FROM :"table" WHERE :'first_item' = item;
SELECT format('SELECT %L AS item, n FROM stock WHERE item = %L', item, item) FROM stock ORDER BY item LIMIT 2 \gexec
SELECT item, length(item) AS len, n FROM stock ORDER BY 1, 2 \crosstabview
SELECT * FROM stock WHERE item = 'apple' \gx
SELECT item, n FROM stock ORDER BY 1 \gdesc
\pset format csv
SELECT item, n FROM stock ORDER BY item LIMIT 2;
\pset format aligned
\x on
SELECT item, n FROM stock ORDER BY item LIMIT 1;
\x off
\if :{?first_item}
SELECT 'set' AS variable;
\else
SELECT 'not set' AS variable;
\endif
DROP TABLE stock, delivery, log, rich;
