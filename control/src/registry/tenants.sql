-- All schemas that may be tenants', and what the registry says of each.
SELECT coalesce(n.nspname, s.schema)::text AS schema, coalesce(s.state, 'active') AS state, s.version,
    s.schema IS NOT NULL AS registered, s.changed_at::text AS changed_at
FROM pg_namespace n FULL JOIN pgstrata_control.schemas s ON s.schema = n.nspname
WHERE coalesce(n.nspname, s.schema) !~ '^pg_|^information_schema$|^pgstrata(_control)?$'
ORDER BY 1
