-- Functions, procedures and what they are marked with.
CREATE FUNCTION by_path() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT count(*) FROM people WHERE name <> ''template.people''';
CREATE FUNCTION standard() RETURNS bigint LANGUAGE sql STABLE BEGIN ATOMIC SELECT count(*) FROM people JOIN companies ON companies.id = people.employer; END;
CREATE FUNCTION standard(integer) RETURNS bigint LANGUAGE sql STABLE BEGIN ATOMIC SELECT standard() + $1; END;
CREATE FUNCTION standard(called text, VARIADIC rest mood[] DEFAULT '{}') RETURNS SETOF people LANGUAGE sql ROWS 17 COST 3.5 BEGIN ATOMIC
    SELECT * FROM people WHERE name = called AND feeling = ANY ($2);
    WITH made AS (INSERT INTO people (name, feeling) VALUES (called, 'gloomy') ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING *) SELECT * FROM made;
END;
CREATE FUNCTION many_arguments(INOUT a mood, b place DEFAULT ROW(1, 2, 'x'), OUT c people, "d e" short_text DEFAULT some_word(), f bigint DEFAULT nextval('plain_numbers'), g tiny[] DEFAULT ARRAY['1'::tiny], h people DEFAULT NULL)
    LANGUAGE plpgsql AS $body$
DECLARE
    person people%ROWTYPE;
    size people.size%TYPE := '4';
BEGIN
    -- $$ public.people "template"; '$function$'
    SELECT * INTO person FROM people WHERE feeling = a;
    EXECUTE format('SELECT count(*) FROM %I', 'people');
    c := person;
END $body$;
CREATE FUNCTION table_of(n integer) RETURNS TABLE (person bigint, "Feeling" mood, spans "Many spans") LANGUAGE sql BEGIN ATOMIC
    SELECT id, feeling, '{}'::"Many spans" FROM people LIMIT n;
END;
CREATE FUNCTION key_dependent() RETURNS TABLE (id bigint, name text, companies bigint) LANGUAGE sql BEGIN ATOMIC
    SELECT people.id, people.name, count(*) FROM people LEFT JOIN companies ON owner_id = people.id GROUP BY people.id;
END;
CREATE FUNCTION merged() RETURNS void LANGUAGE sql BEGIN ATOMIC
    MERGE INTO companies USING people ON people.id = companies.owner_id
        WHEN MATCHED AND people.feeling = 'gloomy' THEN DELETE
        WHEN MATCHED THEN UPDATE SET deputy_id = people.id
        WHEN NOT MATCHED THEN INSERT (owner_id, number) VALUES (people.id, 3);
    UPDATE people SET home.x = 5, many[2] = 7 FROM companies WHERE companies.owner_id = people.id;
    DELETE FROM people USING keys WHERE keys.a = people.id;
END;
CREATE FUNCTION nothing_at_all() RETURNS void LANGUAGE sql BEGIN ATOMIC END;
CREATE FUNCTION careful(text) RETURNS text LANGUAGE sql SECURITY DEFINER LEAKPROOF STRICT IMMUTABLE PARALLEL RESTRICTED
    SET search_path FROM CURRENT SET work_mem = '8MB' SET "DateStyle" = 'ISO, DMY' SET extra.setting = 'a ''quoted'' value' AS 'SELECT $1';
CREATE FUNCTION path_with_more() RETURNS text LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS 'BEGIN RETURN current_schema(); END';
CREATE FUNCTION empty_path() RETURNS text LANGUAGE plpgsql SET search_path = '' AS 'BEGIN RETURN current_schema(); END';
DO $$ BEGIN
    EXECUTE format('CREATE FUNCTION own_path() RETURNS bigint LANGUAGE plpgsql SET search_path = %I, pg_temp AS ''BEGIN RETURN (SELECT count(*) FROM people); END''', current_schema());
    -- Texts that name the schema: the copy has its own name there.
    EXECUTE format('CREATE FUNCTION by_name() RETURNS bigint LANGUAGE sql SET search_path = '''' AS ''SELECT count(*) FROM %1$I.people, %1$I . companies WHERE name <> %1$I.some_word()''', current_schema());
    EXECUTE format('CREATE FUNCTION by_name(n bigint) RETURNS bigint LANGUAGE plpgsql SET search_path = '''' AS ''DECLARE person %1$I.people%%ROWTYPE; BEGIN INSERT INTO %1$I.quick (val) VALUES (''''{}''''); RETURN %1$I.by_name() + n; -- %1$I.people
    END''', current_schema());
END $$;
CREATE FUNCTION row_number_too() RETURNS bigint LANGUAGE internal WINDOW IMMUTABLE AS 'window_row_number';
CREATE FUNCTION anything(anyelement, anyarray DEFAULT NULL) RETURNS anyelement LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION compatible(VARIADIC anycompatiblearray) RETURNS anycompatible LANGUAGE sql AS 'SELECT $1[1]';
CREATE FUNCTION records(OUT a integer, OUT b text) RETURNS SETOF record LANGUAGE sql AS $_$ SELECT 1, E'\\ $$ $function$ ''' $_$;
CREATE FUNCTION loose_records() RETURNS SETOF record LANGUAGE sql AS 'SELECT 1, ''gloomy''::mood';
CREATE FUNCTION sets() RETURNS SETOF composite_user LANGUAGE plpgsql AS 'BEGIN RETURN QUERY SELECT * FROM composite_user; END';
CREATE FUNCTION "Odd "" name; drop"("a "" b" integer, "B" text) RETURNS integer LANGUAGE sql RETURN "a "" b";
CREATE FUNCTION carriage() RETURNS text LANGUAGE plpgsql AS E'BEGIN\r\n\tRETURN ''x'';\r\nEND';
-- One calls the other, which calls the one.
CREATE FUNCTION ping(integer) RETURNS integer LANGUAGE sql RETURN $1;
CREATE FUNCTION pong(integer) RETURNS integer LANGUAGE sql RETURN ping($1);

CREATE PROCEDURE settle(INOUT n integer DEFAULT 3, feeling mood DEFAULT 'gloomy') LANGUAGE plpgsql AS $$ BEGIN UPDATE people SET number = n WHERE people.feeling = settle.feeling; COMMIT; END $$;
CREATE PROCEDURE settle_all(OUT n bigint) LANGUAGE sql BEGIN ATOMIC DELETE FROM keys; INSERT INTO whole_row (a, b) SELECT a, b FROM keys; SELECT count(*) FROM people; END;
CREATE PROCEDURE safe() LANGUAGE sql SECURITY DEFINER SET search_path FROM CURRENT AS 'UPDATE people SET number = 1';

-- A default that calls what comes later in the alphabet and in time.
CREATE FUNCTION zz_last() RETURNS bigint LANGUAGE sql STABLE BEGIN ATOMIC SELECT standard(4); END;
ALTER TABLE companies ADD counted bigint DEFAULT zz_last();
CREATE FUNCTION zz_of_view(text DEFAULT some_word()) RETURNS text LANGUAGE sql RETURN $1;
