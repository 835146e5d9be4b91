-- What PostgreSQL 18 has, and 15 has not.
CREATE TABLE newer (
    id integer,
    a integer CONSTRAINT "a is there" NOT NULL,
    b integer CONSTRAINT b_here NOT NULL NO INHERIT,
    c integer,
    doubled integer GENERATED ALWAYS AS (a * 2) VIRTUAL,
    named text GENERATED ALWAYS AS (upper(e) || 'x') VIRTUAL,
    e text STORAGE EXTERNAL,
    during daterange NOT NULL,
    room int4range,
    CONSTRAINT newer_pk PRIMARY KEY (room, during WITHOUT OVERLAPS),
    CONSTRAINT newer_unique UNIQUE (room, during WITHOUT OVERLAPS),
    CONSTRAINT trusted CHECK (a > 0) NOT ENFORCED,
    CONSTRAINT wide CHECK (a > b)
);
ALTER TABLE newer ADD CONSTRAINT c_unproven NOT NULL c NOT VALID;
ALTER TABLE newer ADD CONSTRAINT with_comment NOT NULL e;
COMMENT ON CONSTRAINT with_comment ON newer IS 'A NOT NULL with a comment';
CREATE TABLE newer_users (
    id bigint PRIMARY KEY, room int4range, during daterange, owner bigint,
    CONSTRAINT while_there FOREIGN KEY (room, PERIOD during) REFERENCES newer (room, PERIOD during),
    CONSTRAINT believed FOREIGN KEY (owner) REFERENCES people NOT ENFORCED
);
CREATE TABLE newer_heir (CONSTRAINT "own name" NOT NULL c, d integer NOT NULL, PRIMARY KEY (d)) INHERITS (newer);
CREATE TABLE newer_parts (id bigint GENERATED ALWAYS AS IDENTITY (START 50), at date NOT NULL, n integer CONSTRAINT "n there" NOT NULL, v integer GENERATED ALWAYS AS (n + 1) VIRTUAL) PARTITION BY RANGE (at);
CREATE TABLE newer_parts_a PARTITION OF newer_parts FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE newer_parts_b (n integer NOT NULL, at date CONSTRAINT "at there" NOT NULL, id bigint NOT NULL, v integer GENERATED ALWAYS AS (n + 1) VIRTUAL);
ALTER TABLE newer_parts ATTACH PARTITION newer_parts_b DEFAULT;
ALTER TABLE newer_parts ADD CONSTRAINT parts_unproven FOREIGN KEY (id) REFERENCES people NOT VALID;
CREATE INDEX newer_gin ON newer USING gin (to_tsvector('own_search', e));
CREATE VIEW newer_view AS SELECT j.* FROM newer, JSON_TABLE('[{"a": 1}]', '$[*]' COLUMNS (n FOR ORDINALITY, a mood PATH '$.a' DEFAULT 'gloomy' ON EMPTY, "B b" text FORMAT JSON PATH '$.b')) AS j WHERE newer.doubled > 3;
CREATE VIEW newer_json AS SELECT JSON_OBJECT('a': feeling, 'b': max(name) ABSENT ON NULL RETURNING jsonb) AS object, JSON_ARRAYAGG(name ORDER BY size RETURNING jsonb) AS list, JSON_VALUE(jsonb '{"a": 1}', '$.a' RETURNING mood DEFAULT 'gloomy' ON ERROR) AS value FROM people GROUP BY feeling;
CREATE FUNCTION newer_merge() RETURNS SETOF bigint LANGUAGE sql BEGIN ATOMIC
    MERGE INTO people USING companies ON people.id = companies.owner_id WHEN NOT MATCHED BY SOURCE THEN DELETE WHEN MATCHED THEN UPDATE SET name = 'x' RETURNING WITH (OLD AS o, NEW AS n) o.id + n.id;
END;
CREATE COLLATION built_in (PROVIDER = builtin, LOCALE = 'C.UTF-8');
CREATE RULE newer_rule AS ON UPDATE TO newer WHERE new.doubled > old.doubled DO ALSO DELETE FROM newer_heir;
CREATE TRIGGER newer_trigger AFTER UPDATE OF a ON newer FOR EACH ROW WHEN (NEW.doubled > 2) EXECUTE FUNCTION fired();
CREATE STATISTICS newer_statistics ON (c + 1), a FROM newer;
GRANT MAINTAIN ON newer TO eq_reader WITH GRANT OPTION;
CREATE TABLE by_method (a integer) PARTITION BY RANGE (a) USING heap;
CREATE DOMAIN there AS integer CONSTRAINT "it's there" NOT NULL CONSTRAINT small CHECK (VALUE < 100);
