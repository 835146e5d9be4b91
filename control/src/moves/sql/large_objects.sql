-- Columns of schema $1 that may have the numbers of large objects, and whether the role can look.
SELECT format('SELECT FROM %s t JOIN pg_largeobject_metadata l ON l.oid = t.%I::oid LIMIT 1', c.oid::regclass, a.attname),
    format('column %s of %s', quote_ident(a.attname), c.oid::regclass),
    has_table_privilege('pg_largeobject_metadata', 'SELECT')
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1::text::name) AND c.relkind = 'r'
    AND a.attnum > 0 AND NOT a.attisdropped AND (t.oid = 'oid'::regtype OR t.typname = 'lo' AND t.typbasetype = 'oid'::regtype)
