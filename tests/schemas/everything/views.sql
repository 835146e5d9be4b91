-- Views, materialized views and rules.
CREATE VIEW glad_people AS SELECT * FROM people WHERE feeling > 'so so' WITH LOCAL CHECK OPTION;
CREATE VIEW gladder_people WITH (security_barrier, check_option = cascaded) AS SELECT id, name AS "The name", home FROM glad_people;
CREATE VIEW invoked WITH (security_invoker = true, security_barrier = false) AS SELECT count(*) FROM gladder_people;
ALTER VIEW gladder_people ALTER COLUMN "The name" SET DEFAULT next_code();
ALTER VIEW glad_people RENAME COLUMN note TO "renamed note";
ALTER TABLE companies RENAME COLUMN serial TO "Serial";
CREATE RECURSIVE VIEW descendants (id, depth) AS SELECT id, 1 FROM people WHERE parent IS NULL UNION ALL SELECT people.id, depth + 1 FROM people, descendants WHERE parent = descendants.id;
CREATE VIEW searched AS WITH RECURSIVE tree AS (SELECT id, parent FROM people UNION ALL SELECT people.id, people.parent FROM people, tree WHERE people.parent = tree.id)
    SEARCH DEPTH FIRST BY id SET ordering CYCLE id SET is_cycle TO 1 DEFAULT 0 USING path SELECT id, parent, is_cycle FROM tree ORDER BY ordering;
CREATE VIEW used AS
    SELECT p.feeling, mood_of.m, count(*) FILTER (WHERE p.size = '3'::tiny) AS some, total(p.size) AS total, total(p.size ORDER BY p.size USING >) AS ordered, total(p.size) OVER w AS running,
        median_of(0.5) WITHIN GROUP (ORDER BY p.name), row_number_too() OVER (), (p.home).x AS x, p.many[1:2], place_to_text(p.home), p.home::text AS cast_to_text,
        CASE p.size WHEN '3'::tiny THEN 'three' ELSE some_word() END AS sized, p.name COLLATE "Mixed order" AS mixed, p.name === 'x' AS same, @- p.size AS negative,
        p.size IN ('1', '2') AS one_of, p.size = ANY (ARRAY['1'::tiny]) AS any_of, p.size IS DISTINCT FROM '2'::tiny AS differs, NULLIF(p.size, '4'::tiny) AS not_four,
        ROW(p.size, p.size) < ROW('3'::tiny, '2'::tiny) AS row_wise, p.size BETWEEN '1' AND '9' AS between_them, p.size::integer AS as_integer, 'so so'::text::mood AS cast_mood,
        'people'::regclass AS class, 'plain_numbers'::regclass AS sequence, 'some_word()'::regprocedure AS procedure, 'mood'::regtype AS type, 'some_word'::regproc AS function,
        ARRAY['gloomy'::mood, 'it''s'] AS list, ROW(1, 2, 3)::whole_row IS NULL AS no_row, p AS everything, p.*::text AS text, standard('x', 'gloomy', 'sadder') AS set,
        (many_arguments(a => 'gloomy', f => 3)).c AS by_name, '[1,2]'::span && '[2,3]'::span AS spans, 'a'::short_text AS short, currval('plain_numbers'::regclass) AS current, CAST(NULL AS people) AS nobody
    FROM people p CROSS JOIN LATERAL (SELECT p.feeling AS m OFFSET 0) mood_of
    GROUP BY p.id, mood_of.m WINDOW w AS (PARTITION BY p.feeling ORDER BY p.size USING < RANGE UNBOUNDED PRECEDING)
    ORDER BY p.size USING >, p.feeling;
CREATE VIEW by_key AS SELECT people.id, people.name, people.home, count(*) AS n FROM people JOIN companies ON owner_id = people.id GROUP BY people.id;
CREATE VIEW on_by_key AS SELECT *, by_key AS row FROM by_key;
CREATE VIEW joined AS SELECT both_of.id AS both, k.*, two.shared FROM companies JOIN key_users AS k (id, n) USING (id) AS both_of LEFT JOIN (base_one CROSS JOIN base_two two) ON two.second = both_of.id;
CREATE VIEW joined_naturally AS SELECT * FROM ONLY base_one NATURAL FULL JOIN quick TABLESAMPLE bernoulli (10) REPEATABLE (3) FOR UPDATE OF quick SKIP LOCKED;
CREATE VIEW from_functions AS SELECT * FROM ROWS FROM (table_of(3), next_code(), loose_records() AS (c integer, d mood)) WITH ORDINALITY AS f (a, b);
CREATE VIEW value_list ("A", b) AS SELECT * FROM (VALUES (1, 'gloomy'::mood), (2, NULL)) AS listed (x, y);
CREATE VIEW without_columns AS SELECT FROM people;
CREATE VIEW union_of AS (SELECT size FROM people EXCEPT ALL SELECT '1'::tiny) UNION SELECT tiny '2' ORDER BY 1 LIMIT 3;
CREATE VIEW grouped AS SELECT DISTINCT ON (feeling) feeling, initials(name), grouping(feeling), sum(sum(id)) OVER (ORDER BY feeling ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM people GROUP BY GROUPING SETS ((feeling, initials(name)), ROLLUP (feeling, initials(name)));
CREATE VIEW path_dependent AS SELECT current_schema() AS schema, to_regclass('people') AS class;
DO $$ BEGIN
    -- An alias and a column that are called as the schema.
    EXECUTE format('CREATE VIEW named_alike AS SELECT %1$I.id, %1$I.name AS %1$I, %2$L::text AS text, (%1$I.home).x FROM people %1$I', current_schema(), 'no name: ' || quote_ident(current_schema()) || '.people');
    EXECUTE format('CREATE TABLE %1$I (%1$I integer PRIMARY KEY, CHECK (%1$I > 0))', current_schema());
    EXECUTE format('CREATE VIEW also_named_alike AS SELECT %1$I.%1$I.%1$I AS one, %1$I.%1$I.*, %1$I.%1$I AS two FROM %1$I.%1$I', current_schema());
END $$;
-- Each needs the other.
CREATE VIEW in_a_circle AS SELECT 1 AS a, NULL::text AS b;
CREATE FUNCTION takes_circle(in_a_circle) RETURNS text LANGUAGE sql BEGIN ATOMIC SELECT ($1).b; END;
CREATE OR REPLACE VIEW in_a_circle AS SELECT id AS a, takes_circle(NULL) AS b FROM companies;
-- The columns were renamed below and in it.
CREATE VIEW renamed AS SELECT a, b, whole_row FROM whole_row;
ALTER TABLE whole_row RENAME COLUMN b TO "new b";
ALTER VIEW renamed RENAME COLUMN a TO "new a";
CREATE VIEW on_renamed AS SELECT *, (whole_row)."new b" AS part FROM renamed;
ALTER VIEW on_renamed SET (security_invoker = on);

CREATE MATERIALIZED VIEW counted WITH (fillfactor = 80, autovacuum_enabled = off) AS SELECT feeling, count(*) AS n FROM people GROUP BY feeling;
CREATE UNIQUE INDEX counted_feeling ON counted (feeling);
CREATE INDEX counted_doubled ON counted (doubled(n::integer)) WHERE feeling < 'it''s';
ALTER MATERIALIZED VIEW counted CLUSTER ON counted_feeling;
ALTER MATERIALIZED VIEW counted ALTER COLUMN n SET STATISTICS 33;
CREATE MATERIALIZED VIEW recounted AS SELECT sum(n) AS "All of them" FROM counted;
CREATE MATERIALIZED VIEW unfilled AS SELECT * FROM recounted, used WITH NO DATA;
CREATE MATERIALIZED VIEW filled_by_key AS SELECT people.id, people.name, count(*) FROM people GROUP BY people.id;
CREATE VIEW on_filled AS SELECT * FROM filled_by_key;
CREATE STATISTICS counted_statistics ON feeling, n FROM counted;

CREATE RULE instead_of AS ON INSERT TO by_key DO INSTEAD INSERT INTO people (name, home) VALUES (new.name, new.home) RETURNING id, name, home, 1::bigint;
CREATE RULE nothing AS ON DELETE TO by_key DO INSTEAD NOTHING;
CREATE RULE two_things AS ON UPDATE TO whole_row WHERE new.a <> old.a AND row_is_fine(new)
    DO ALSO (UPDATE companies SET deputy_id = new.a WHERE id = old.a; SELECT 'it''s'::mood; DELETE FROM keys WHERE a = old.a);
CREATE RULE switched_off AS ON DELETE TO whole_row DO ALSO SELECT next_code();
ALTER TABLE whole_row DISABLE RULE switched_off, ENABLE ALWAYS RULE two_things;
CREATE RULE "A rule's name" AS ON INSERT TO nothing DO ALSO (NOTIFY "Changed", 'it''s'; INSERT INTO quick (val) VALUES ('{}'));
