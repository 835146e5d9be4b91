-- Owners, privileges, default privileges.
GRANT SELECT ON people TO eq_reader;
GRANT INSERT, UPDATE ON people TO eq_other WITH GRANT OPTION;
GRANT SELECT (id, number), UPDATE (number) ON companies TO eq_reader;
GRANT REFERENCES (id) ON companies TO PUBLIC;
GRANT ALL ON keys TO "Odd ""role""";
GRANT SELECT ON keys TO PUBLIC;
GRANT SELECT ON glad_people, counted TO eq_reader;
GRANT SELECT ON counted TO eq_owner;
GRANT USAGE ON SEQUENCE plain_numbers TO eq_reader;
GRANT SELECT, UPDATE ON SEQUENCE people_id_seq TO eq_other;
GRANT EXECUTE ON FUNCTION standard() TO eq_reader WITH GRANT OPTION;
REVOKE EXECUTE ON FUNCTION careful(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION careful(text) TO eq_reader;
REVOKE ALL ON FUNCTION by_path() FROM PUBLIC;
REVOKE ALL ON PROCEDURE settle FROM PUBLIC;
GRANT EXECUTE ON FUNCTION total(tiny) TO eq_reader;
REVOKE USAGE ON TYPE mood FROM PUBLIC;
GRANT USAGE ON TYPE mood TO eq_owner, eq_other, eq_reader;
GRANT USAGE ON DOMAIN short_text TO eq_reader WITH GRANT OPTION;
-- The owner has given up a right of its own, and all of them.
REVOKE DELETE ON key_users FROM CURRENT_USER;
REVOKE ALL ON quick FROM CURRENT_USER;

DO $$ BEGIN
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO eq_reader, "Odd ""role"""', current_schema());
    EXECUTE format('GRANT ALL ON SCHEMA %I TO eq_owner, eq_other WITH GRANT OPTION', current_schema());
    EXECUTE format('COMMENT ON SCHEMA %I IS %L', current_schema(), 'What each customer has: it''s "this"');
END $$;
ALTER TABLE companies OWNER TO eq_owner;
ALTER TABLE events OWNER TO eq_owner;
ALTER TABLE events_2020 OWNER TO eq_other;
ALTER VIEW glad_people OWNER TO eq_other;
ALTER MATERIALIZED VIEW recounted OWNER TO eq_owner;
ALTER SEQUENCE falling_numbers OWNER TO eq_owner;
ALTER FUNCTION fired_too() OWNER TO eq_owner;
ALTER PROCEDURE safe() OWNER TO eq_other;
ALTER AGGREGATE total(tiny) OWNER TO eq_owner;
ALTER TYPE place OWNER TO eq_other;
ALTER DOMAIN shorter_text OWNER TO eq_owner;
ALTER TYPE span OWNER TO eq_owner;
ALTER COLLATION plain_order OWNER TO eq_owner;
ALTER STATISTICS people_some OWNER TO eq_other;
ALTER FOREIGN TABLE far_away OWNER TO eq_owner;
ALTER OPERATOR ===(text, text) OWNER TO eq_owner;
ALTER OPERATOR FAMILY tiny_family USING btree OWNER TO eq_owner;
ALTER OPERATOR CLASS dots USING gist OWNER TO eq_owner;
ALTER TEXT SEARCH CONFIGURATION own_search OWNER TO eq_owner;
ALTER TEXT SEARCH DICTIONARY plain_words OWNER TO eq_owner;
ALTER CONVERSION own_conversion OWNER TO eq_owner;
-- Rights that one who is not the owner gave on.
SET ROLE eq_other;
GRANT UPDATE ON people TO "Odd ""role""" WITH GRANT OPTION;
GRANT INSERT ON people TO eq_reader;
SET ROLE eq_owner;
GRANT SELECT ON companies TO eq_other;
REVOKE INSERT ON companies FROM eq_owner;
RESET ROLE;
SET ROLE "Odd ""role""";
GRANT UPDATE ON people TO eq_reader WITH GRANT OPTION;
SET ROLE eq_reader;
GRANT UPDATE ON people TO eq_owner WITH GRANT OPTION;
SET ROLE eq_owner;
GRANT UPDATE ON people TO eq_zealous;
RESET ROLE;

DO $$ BEGIN
    EXECUTE format('ALTER DEFAULT PRIVILEGES IN SCHEMA %I GRANT SELECT ON TABLES TO eq_reader', current_schema());
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE eq_owner IN SCHEMA %I GRANT ALL ON SEQUENCES TO eq_other WITH GRANT OPTION', current_schema());
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE eq_owner IN SCHEMA %I GRANT EXECUTE ON FUNCTIONS TO PUBLIC', current_schema());
    EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE "Odd ""role""" IN SCHEMA %I GRANT USAGE ON TYPES TO eq_other', current_schema());
END $$;
