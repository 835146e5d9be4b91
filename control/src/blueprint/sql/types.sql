-- Enums, domains and ranges of schema $1; shells and base types are named too. Composite types are relations.
SELECT t.oid, t.typname::text AS name, t.typtype::text AS kind, t.typowner AS owner, t.typnotnull AS not_null,
    t.typdefault AS default_text, t.typbasetype AS base, t.typarray AS array_type, t.typisdefined AS defined,
    t.typcollation <> 0 AND t.typcollation IS DISTINCT FROM b.typcollation AS collated,
    (SELECT array_agg(e.enumlabel::text ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid) AS labels,
    r.rngmultitypid AS multirange, m.typarray AS multirange_array, m.typname::text AS multirange_name,
    r.rngcollation <> 0 AND r.rngcollation <> rs.typcollation AS range_collated,
    r.rngcanonical::oid <> 0 AS canonical, r.rngsubdiff::oid <> 0 AS subdiff, NOT o.opcdefault AS range_opclass
FROM pg_type t
    LEFT JOIN pg_type b ON b.oid = t.typbasetype
    LEFT JOIN pg_range r ON r.rngtypid = t.oid
    LEFT JOIN pg_type rs ON rs.oid = r.rngsubtype
    LEFT JOIN pg_type m ON m.oid = r.rngmultitypid
    LEFT JOIN pg_opclass o ON o.oid = r.rngsubopc
WHERE t.typnamespace = $1 AND t.typtype IN ('e', 'd', 'r', 'b', 'p')
    -- No array of another type, which comes along with it.
    AND NOT EXISTS (SELECT FROM pg_type a WHERE a.typarray = t.oid)
    AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_type'::regclass AND e.objid = t.oid AND e.deptype IN ('e', 'i'))
ORDER BY t.typname
