-- Whatever of schema $1 cannot be carried to another cluster; each row: a reason.
WITH schema AS (SELECT oid FROM pg_namespace WHERE nspname = $1::text::name), relations AS (
    SELECT c.* FROM pg_class c WHERE c.relnamespace = (SELECT oid FROM schema)
)
SELECT 'extension ' || quote_ident(e.extname) || ' is in the schema: move it to a shared schema' AS why
FROM pg_extension e WHERE e.extnamespace = (SELECT oid FROM schema)
UNION ALL
SELECT 'foreign key ' || quote_ident(k.conname) || ' of ' || k.conrelid::regclass || ' leads to ' || k.confrelid::regclass
    || ', which is in a schema that is neither the tenant''s nor shared'
FROM pg_constraint k JOIN relations c ON k.conrelid = c.oid JOIN pg_class r ON r.oid = k.confrelid
    JOIN pg_namespace n ON n.oid = r.relnamespace
WHERE k.contype = 'f' AND n.oid <> (SELECT oid FROM schema) AND n.nspname <> ALL ($2::text[])
UNION ALL
SELECT 'a prepared transaction has locked ' || c.oid::regclass || ': commit it or roll it back'
FROM pg_locks l JOIN relations c ON l.relation = c.oid WHERE l.locktype = 'relation' AND l.pid IS NULL
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
UNION ALL
SELECT 'the control role does not own ' || c.oid::regclass || ', which belongs to ' || pg_get_userbyid(c.relowner)
FROM relations c WHERE c.relkind IN ('r', 'p', 'S', 'v', 'm', 'f') AND NOT pg_has_role(c.relowner, 'USAGE')
UNION ALL
SELECT 'row security hides rows of ' || c.oid::regclass || ' from the control role'
FROM relations c JOIN pg_roles r ON r.rolname = current_user
WHERE c.relkind = 'r' AND c.relforcerowsecurity AND c.relrowsecurity AND NOT r.rolsuper AND NOT r.rolbypassrls
UNION ALL
SELECT 'migration ' || m.version || ' was interrupted: run `pgstrata tenant migrate` with --redo or --done'
FROM pgstrata_control.migrations m WHERE m.schema = $1::text::name AND m.state = 'running'
