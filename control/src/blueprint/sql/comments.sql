-- Comments on objects ($1: their catalogs, $2: their ids) and their columns.
SELECT d.classoid AS class, d.objoid AS oid, d.objsubid AS number, d.description AS text
FROM unnest($1::oid[], $2::oid[]) o(class, oid)
    JOIN pg_description d ON d.classoid = o.class AND d.objoid = o.oid
ORDER BY d.objsubid
