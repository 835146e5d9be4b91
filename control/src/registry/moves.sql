-- Moves of tenants between clusters. On the registry's cluster: one row for each move, from its beginning to the drop of
-- the schema that it leaves behind.
CREATE TABLE IF NOT EXISTS pgstrata_control.moves (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    schema name NOT NULL,
    -- Clusters, by their names in the configuration.
    source text NOT NULL,
    target text NOT NULL CHECK (target <> source),
    -- The state and the version that the tenant has at the target again.
    state text NOT NULL CHECK (state IN ('active', 'suspended')),
    version bigint,
    -- Recorded before the step changes anything on another cluster than this one:
    -- fence: the tenant's clients may wait; copy: the target may have a copy; leave: the source's schema may be renamed;
    -- arrive: the placement is that of the target; kept: the move is done, and the source's schema is there still.
    step text NOT NULL CHECK (step IN ('fence', 'copy', 'leave', 'arrive', 'kept')),
    -- For how long the source's schema is kept.
    keep interval NOT NULL,
    drop_after timestamptz,
    started_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
    changed_at timestamptz NOT NULL DEFAULT pg_catalog.now()
);

-- A tenant is moved once at a time.
CREATE UNIQUE INDEX IF NOT EXISTS moves_running ON pgstrata_control.moves (schema) WHERE step <> 'kept';

-- On the target of a move: schemas that a move has made and that are not served yet. A row comes with its schema, in one
-- transaction, so that no other schema of the name is ever taken for it, and dropped.
CREATE TABLE IF NOT EXISTS pgstrata_control.copies (
    schema name PRIMARY KEY,
    -- What the source's schema is called when it has left: no two moves have the same.
    aside name NOT NULL
);

-- Who may create tenants may move them.
DO $$
DECLARE
    given record;
BEGIN
    FOR given IN
        SELECT CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE
            pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END AS role
        FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
        WHERE c.oid = 'pgstrata_control.schemas'::pg_catalog.regclass
            AND a.grantee <> c.relowner AND a.privilege_type = 'INSERT'
    LOOP
        EXECUTE pg_catalog.format(
            'GRANT SELECT, INSERT, UPDATE, DELETE ON pgstrata_control.moves, pgstrata_control.copies TO %s', given.role);
    END LOOP;
END $$
