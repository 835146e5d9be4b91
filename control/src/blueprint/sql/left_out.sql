-- Of objects ($1: their catalogs, $2: their ids) those that are in schema $3. Arrays are what their
-- elements are, indexes what their tables are.
SELECT DISTINCT pg_describe_object(o.class, o.oid, 0) AS what
FROM unnest($1::oid[], $2::oid[]) o(class, oid), pg_identify_object(o.class, o.oid, 0) i
WHERE i.schema = (SELECT quote_ident(nspname) FROM pg_namespace WHERE oid = $3)
    -- An extension's are there for all.
    AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = o.class AND e.objid = o.oid AND e.deptype = 'e')
    AND NOT EXISTS (SELECT FROM pg_type t WHERE o.class = 'pg_type'::regclass AND t.typarray = o.oid)
    AND NOT EXISTS (SELECT FROM pg_index x WHERE o.class = 'pg_class'::regclass AND x.indexrelid = o.oid)
ORDER BY 1
