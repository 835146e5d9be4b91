-- Where tenants live that are not in this very database: on which cluster, in which database there. Every tenant that
-- has no row lives here, where its schema is.
CREATE SEQUENCE IF NOT EXISTS pgstrata_control.generations;

CREATE TABLE IF NOT EXISTS pgstrata_control.placements (
    schema name PRIMARY KEY,
    -- The name of a table [clusters.NAME].
    cluster text NOT NULL CHECK (cluster <> ''),
    database name NOT NULL,
    -- Grows with each change, of whatever row: the younger of two answers is the one with the higher number.
    generation bigint NOT NULL DEFAULT pg_catalog.nextval('pgstrata_control.generations'),
    changed_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);

CREATE OR REPLACE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON pgstrata_control.placements
    FOR EACH ROW EXECUTE FUNCTION pgstrata_control.announce();

-- A tenant lives in one place: a schema that is here is placed nowhere else.
CREATE OR REPLACE FUNCTION pgstrata_control.refuse_second_schema() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_namespace WHERE nspname = NEW.schema) THEN
        RAISE EXCEPTION 'schema "%" is on the registry''s cluster: it can''t be placed on cluster "%"',
            NEW.schema, NEW.cluster USING ERRCODE = 'object_not_in_prerequisite_state';
    END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER one_place AFTER INSERT OR UPDATE ON pgstrata_control.placements
    FOR EACH ROW WHEN (NEW.generation > 0) EXECUTE FUNCTION pgstrata_control.refuse_second_schema();

-- And one that is placed elsewhere gets no schema here. The row that is made and taken away again meets each other
-- one, of whatever snapshot the transaction is: the unique index sees what it does not.
CREATE OR REPLACE FUNCTION pgstrata_control.refuse_second_place() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO pgstrata_control.placements (schema, cluster, database, generation) VALUES (NEW.schema, '-', '-', 0);
    DELETE FROM pgstrata_control.placements WHERE schema = NEW.schema;
    RETURN NEW;
EXCEPTION WHEN unique_violation THEN
    RAISE EXCEPTION 'tenant schema "%" is placed on another cluster', NEW.schema
        USING ERRCODE = 'object_not_in_prerequisite_state', HINT = 'pgstrata tenant list shows where it lives.';
END $$;

CREATE OR REPLACE TRIGGER one_place BEFORE INSERT OR UPDATE OF schema ON pgstrata_control.schemas
    FOR EACH ROW EXECUTE FUNCTION pgstrata_control.refuse_second_place();
