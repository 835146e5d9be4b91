-- Extensions with which objects ($1: their catalogs, $2: their ids) go.
SELECT d.classid AS class, d.objid AS oid, quote_ident(e.extname) AS extension
FROM unnest($1::oid[], $2::oid[]) o(class, oid)
    JOIN pg_depend d ON d.classid = o.class AND d.objid = o.oid AND d.deptype = 'x'
    JOIN pg_extension e ON d.refclassid = 'pg_extension'::regclass AND e.oid = d.refobjid
