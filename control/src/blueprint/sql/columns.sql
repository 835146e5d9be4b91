-- Columns of relations $1, dropped ones left out.
SELECT a.attrelid AS relation, a.attnum AS number, a.attname::text AS name, a.attnotnull AS not_null,
    a.attidentity::text AS identity, a.attgenerated::text AS generated, a.attislocal AS local,
    d.oid AS default_oid, a.attfdwoptions AS server_options,
    -- Newer minor versions count the changes of a column there, for themselves: pg_dump leaves that out, too.
    (SELECT array_agg(option ORDER BY number) FROM unnest(a.attoptions) WITH ORDINALITY o (option, number)
        WHERE option NOT LIKE 'pg\_attver=%') AS options,
    a.attcompression::text AS compression, a.attcollation <> t.typcollation AS collated,
    CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage::text END AS storage,
    -- Its values have to be cast on their way to another schema's type of the name.
    t.typnamespace = c.relnamespace AS own_type,
    -- So have those that are the id of something.
    t.typnamespace = 'pg_catalog'::regnamespace AND t.typname IN ('regclass', 'regcollation', 'regconfig', 'regdictionary',
        'regoper', 'regoperator', 'regproc', 'regprocedure', 'regtype') AS is_id,
    -- NULL from 17 on, -1 before.
    nullif(a.attstattarget::int, -1) AS statistics
FROM pg_attribute a
    JOIN pg_class c ON c.oid = a.attrelid
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = ANY ($1) AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attrelid, a.attnum
