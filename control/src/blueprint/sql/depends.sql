-- What objects ($1: their catalogs, $2: their ids) depend on.
SELECT d.classid AS class, d.objid AS oid, d.refclassid AS on_class, d.refobjid AS on_oid,
    CASE WHEN d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 THEN d.refobjsubid::int2 END AS on_column
FROM unnest($1::oid[], $2::oid[]) o(class, oid)
    JOIN pg_depend d ON d.classid = o.class AND d.objid = o.oid
WHERE d.deptype IN ('n', 'a', 'i', 'P', 'S')
    -- What a column owns is tied to it in a statement of its own.
    AND NOT (d.deptype = 'a' AND d.classid = 'pg_class'::regclass AND d.refobjsubid > 0
        AND EXISTS (SELECT FROM pg_class c WHERE c.oid = d.objid AND c.relkind = 'S'))
