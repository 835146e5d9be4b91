-- One of them, and how much of it there is.
SELECT n.nspname::text AS schema, coalesce(s.state, 'active') AS state, s.version,
    s.schema IS NOT NULL AS registered, s.changed_at::text AS changed_at, pg_get_userbyid(n.nspowner)::text AS owner,
    t.tables, t.bytes, pg_size_pretty(t.bytes) AS size
FROM pg_namespace n LEFT JOIN pgstrata_control.schemas s ON s.schema = n.nspname, LATERAL (
    SELECT count(*) FILTER (WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition) AS tables,
        coalesce(sum(pg_total_relation_size(c.oid)) FILTER (WHERE c.relkind IN ('r', 'm')), 0)::bigint AS bytes
    FROM pg_class c WHERE c.relnamespace = n.oid) t
WHERE n.nspname = $1::text::name
