-- Rows in most tables: what has triggers gets them without.
ALTER TABLE people DISABLE TRIGGER USER;
ALTER TABLE companies DISABLE TRIGGER USER;
ALTER TABLE events DISABLE TRIGGER USER;
INSERT INTO companies (owner_id, deputy_id) VALUES (NULL, NULL), (NULL, NULL);
INSERT INTO people (name, feeling, feelings, home, nick, many, initial, stay, note, size, employer) VALUES
    ('Ann', 'it''s', '{gloomy,"\"quoted\""}', ROW(1.5, NULL, 'a "b", c'), 'nick', '{1,NULL,3}', 'x', '3 days 4:05:06.789', E'tab\t\\ "', '12', 100),
    ('Bob', '', NULL, NULL, DEFAULT, NULL, NULL, NULL, NULL, NULL, 110),
    ('Cid', 'Ümlaut', NULL, ROW(NULL, NULL, NULL), DEFAULT, '{}', '"', '-1 month', '', '-5', 100);
UPDATE people SET parent = 1 WHERE id > 1;
UPDATE companies SET owner_id = 1, deputy_id = 2;
INSERT INTO place_book VALUES (1, 2, 'here'), (3, NULL, 'there');
INSERT INTO quick (val) VALUES ('{"a": [1, 2]}'), (NULL);
INSERT INTO composite_user SELECT p.id, ROW(ROW(1, 2, 'x')::place, ARRAY[ROW(3, 4, 'y')::place, NULL], 'sadder'::mood, 12.34)::journey, p, ARRAY[p, NULL], '[1.5,2.5)', '{[1,2),[3,4)}', 'abc', NULL FROM people p;
INSERT INTO keys (a, b, c, d, during, area, e) VALUES (1, 2, 3, 'd', '[2020-01-01,2020-02-01)', '(1,1),(0,0)', 5), (2, 3, 4, NULL, 'empty', NULL, NULL);
INSERT INTO key_users VALUES (1, 1, 2, 1, NULL), (2, NULL, NULL, 1, 2);
INSERT INTO base_one VALUES (1, 'one', true); INSERT INTO base_two VALUES ('two', 2);
INSERT INTO heir (own, second) VALUES ('2020-01-01', 5); INSERT INTO grandchild (own, second) VALUES ('2021-01-01', 6); INSERT INTO late_heir VALUES (1, 'x', 2);
ALTER TABLE whole_row DISABLE RULE two_things;
INSERT INTO whole_row VALUES (1, 2, 3), (NULL, 5, NULL);
INSERT INTO nothing DEFAULT VALUES; INSERT INTO nothing DEFAULT VALUES;
INSERT INTO events (at, region, person, amount, size) VALUES ('2019-01-01', 'north', 1, 1, '3'), ('2020-05-05', 'south', NULL, 2, NULL), ('2021-05-05', 'it''s', 2, 3, '4'), ('2021-06-06', 'else', 1, 4, '5'), ('2030-01-01', 'far', 3, 5, '6');
INSERT INTO event_notes SELECT id, at, region, 'note' FROM events;
INSERT INTO by_expression VALUES ('anna', '5', 'gloomy', 1);
INSERT INTO by_mood VALUES ('so so', 1), ('sadder', 2);
INSERT INTO documents (body) VALUES ('some words'), (NULL);
INSERT INTO "MixedCase" VALUES (1, '"', 2, 3, 4, 'ключ', E'two\nlines', 5, 6, 7, 'a''b', 8);
INSERT INTO "a.b" VALUES (1, 1);
INSERT INTO "table" DEFAULT VALUES; INSERT INTO "таблица" ("日本") SELECT t FROM "table" t;
INSERT INTO "sixty_three_bytes_long_is_what_postgresql_keeps_of_any_name_zzzz" VALUES (DEFAULT, 1, NULL), (DEFAULT, 2, 1);
SET CONSTRAINTS ALL IMMEDIATE;
ALTER TABLE people ENABLE TRIGGER USER;
ALTER TABLE companies ENABLE TRIGGER USER;
ALTER TABLE events ENABLE TRIGGER USER;
REFRESH MATERIALIZED VIEW counted; REFRESH MATERIALIZED VIEW recounted; REFRESH MATERIALIZED VIEW filled_by_key;
SELECT setval('plain_numbers', 77, false), setval('falling_numbers', -5), nextval('small_numbers');
