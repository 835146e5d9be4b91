-- Indexes of relations $1, those behind constraints too.
SELECT i.indexrelid AS oid, c.relname::text AS name, i.indrelid AS relation, r.relkind::text AS relation_kind,
    i.indisclustered AS clustered, i.indisreplident AS replica_identity, c.reloptions AS options,
    k.oid AS constraint, quote_ident(c.relname) AS quoted, quote_ident(n.nspname) || '.' || quote_ident(r.relname) AS on_relation,
    p.inhparent AS parent, s.spcname::text AS tablespace, i.indisvalid OR r.relkind = 'p' AS valid,
    (SELECT array_agg(a.attnum::int ORDER BY a.attnum) FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attstattarget >= 0) AS statistics_columns,
    (SELECT array_agg(a.attstattarget::int ORDER BY a.attnum) FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attstattarget >= 0) AS statistics
FROM pg_index i
    JOIN pg_class c ON c.oid = i.indexrelid
    JOIN pg_class r ON r.oid = i.indrelid
    JOIN pg_namespace n ON n.oid = r.relnamespace
    LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
    LEFT JOIN pg_constraint k ON k.conindid = c.oid AND k.contype IN ('p', 'u', 'x') AND k.conrelid = i.indrelid
    LEFT JOIN pg_inherits p ON p.inhrelid = c.oid
WHERE i.indrelid = ANY ($1)
ORDER BY c.relname
