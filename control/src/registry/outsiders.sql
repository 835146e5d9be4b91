-- Objects outside of schema $1 that need one inside: what CASCADE would take along.
WITH schema AS (SELECT oid FROM pg_namespace WHERE nspname = $1::text::name), inside AS (
    SELECT 'pg_class'::regclass::oid AS class, c.oid FROM pg_class c WHERE c.relnamespace = (SELECT oid FROM schema)
    UNION ALL SELECT 'pg_proc'::regclass, p.oid FROM pg_proc p WHERE p.pronamespace = (SELECT oid FROM schema)
    UNION ALL SELECT 'pg_type'::regclass, t.oid FROM pg_type t WHERE t.typnamespace = (SELECT oid FROM schema)
)
SELECT DISTINCT pg_describe_object(d.classid, d.objid, 0)
FROM inside i JOIN pg_depend d ON d.refclassid = i.class AND d.refobjid = i.oid AND d.deptype = 'n'
    LEFT JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid
    LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
    LEFT JOIN pg_attrdef a ON d.classid = 'pg_attrdef'::regclass AND a.oid = d.objid
    LEFT JOIN pg_trigger g ON d.classid = 'pg_trigger'::regclass AND g.oid = d.objid
    LEFT JOIN pg_class c ON c.oid = coalesce(w.ev_class, nullif(k.conrelid, 0), a.adrelid, g.tgrelid,
        CASE WHEN d.classid = 'pg_class'::regclass THEN d.objid END)
    LEFT JOIN pg_proc p ON d.classid = 'pg_proc'::regclass AND p.oid = d.objid
    LEFT JOIN pg_type t ON d.classid = 'pg_type'::regclass AND t.oid = d.objid
WHERE coalesce(c.relnamespace, p.pronamespace, t.typnamespace) <> (SELECT oid FROM schema)
