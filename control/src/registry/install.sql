-- The registry: which schemas are tenants', how each one fares, and what was done to them.
-- A schema that is not in it is served as any other: the registry adds to what the catalog says.
CREATE SCHEMA IF NOT EXISTS pgstrata_control;

CREATE TABLE IF NOT EXISTS pgstrata_control.schemas (
    schema name PRIMARY KEY,
    -- 'source' is what tenants are made from; no client is ever let in.
    state text NOT NULL CHECK (state IN ('source', 'provisioning', 'active', 'migrating', 'suspended', 'dropping')),
    -- Of the last migration that it has; NULL before the first.
    version bigint,
    created_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    changed_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);

-- The ledger: one for all schemas, so that one query tells who lacks what. A row stands or falls
-- with the transaction that ran the migration. A tenant that was made from the source at a version
-- has no rows for what the source had by then.
CREATE TABLE IF NOT EXISTS pgstrata_control.migrations (
    schema name NOT NULL,
    version bigint NOT NULL,
    name text NOT NULL,
    -- SHA-256 of the file, whatever its line ends; of code, of its name.
    checksum bytea NOT NULL,
    -- 'running' is left behind only where a file that can't run in a transaction was cut off.
    state text NOT NULL CHECK (state IN ('running', 'done')),
    applied_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    took interval,
    PRIMARY KEY (schema, version)
);

CREATE INDEX IF NOT EXISTS migrations_running ON pgstrata_control.migrations (schema) WHERE state = 'running';

-- The end of a migration: its row in the ledger and the schema's version, both or neither.
CREATE OR REPLACE FUNCTION pgstrata_control.record(
    target name, expected bigint, reached bigint, file text, sum bytea, transaction bigint
) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF transaction <> txid_current() THEN
        RAISE EXCEPTION 'the migration ended the transaction that it was run in'
            USING ERRCODE = 'invalid_transaction_termination', HINT = 'What it did before stays: look at it.';
    END IF;
    UPDATE pgstrata_control.schemas AS s SET version = reached, changed_at = now()
    WHERE s.schema = target AND s.version IS NOT DISTINCT FROM expected;
    IF NOT FOUND THEN
        -- It begins anew then, from the version that the schema has.
        RAISE EXCEPTION 'the version of schema "%" was changed by somebody else', target
            USING ERRCODE = 'serialization_failure';
    END IF;
    INSERT INTO pgstrata_control.migrations AS m (schema, version, name, checksum, state, took)
    VALUES (target, reached, file, sum, 'done', clock_timestamp() - now())
    ON CONFLICT (schema, version) DO UPDATE
    SET name = excluded.name, checksum = excluded.checksum, state = excluded.state, applied_at = excluded.applied_at,
        took = clock_timestamp() - CASE m.state WHEN 'running' THEN m.applied_at ELSE now() END;
END $$;

CREATE OR REPLACE FUNCTION pgstrata_control.announce() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- The payload is the schema alone: whoever hears it asks for the rest.
    IF TG_OP <> 'INSERT' THEN PERFORM pg_notify('pgstrata_tenants', OLD.schema::text); END IF;
    IF TG_OP <> 'DELETE' THEN PERFORM pg_notify('pgstrata_tenants', NEW.schema::text); END IF;
    RETURN NULL;
END $$;

CREATE OR REPLACE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON pgstrata_control.schemas
    FOR EACH ROW EXECUTE FUNCTION pgstrata_control.announce();
