-- The roles and extensions that objects of schema $1 need.
WITH schema AS (SELECT oid FROM pg_namespace WHERE nspname = $1::text::name), inside AS (
    SELECT 'pg_namespace'::regclass::oid AS class, oid FROM schema
    UNION ALL SELECT 'pg_class'::regclass, c.oid FROM pg_class c WHERE c.relnamespace = (SELECT oid FROM schema)
    UNION ALL SELECT 'pg_proc'::regclass, p.oid FROM pg_proc p WHERE p.pronamespace = (SELECT oid FROM schema)
    UNION ALL SELECT 'pg_type'::regclass, t.oid FROM pg_type t WHERE t.typnamespace = (SELECT oid FROM schema)
    UNION ALL SELECT 'pg_policy'::regclass, p.oid FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid
        WHERE c.relnamespace = (SELECT oid FROM schema)
)
SELECT DISTINCT 'role' AS kind, r.rolname::text AS name
FROM inside i JOIN pg_shdepend d ON d.classid = i.class AND d.objid = i.oid AND d.refclassid = 'pg_authid'::regclass
        AND d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    JOIN pg_roles r ON r.oid = d.refobjid
UNION
SELECT 'extension', e.extname::text
FROM inside i JOIN pg_depend d ON d.classid = i.class AND d.objid = i.oid AND d.deptype IN ('n', 'x')
    JOIN pg_depend m ON m.classid = d.refclassid AND m.objid = d.refobjid AND m.deptype = 'e'
    JOIN pg_extension e ON m.refclassid = 'pg_extension'::regclass AND e.oid = m.refobjid
