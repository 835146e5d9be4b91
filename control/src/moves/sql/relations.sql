-- The relations of schema $1: their kinds, owners, and columns that have stored values of their own.
SELECT c.oid, c.relname::text AS name, c.relkind::text AS kind, quote_ident(pg_get_userbyid(c.relowner)) AS owner,
    coalesce((SELECT array_agg(quote_ident(a.attname) ORDER BY a.attnum) FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''), '{}') AS columns
FROM pg_class c
WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1::text::name)
    AND c.relkind IN ('r', 'p', 'S')
    AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
ORDER BY c.oid
