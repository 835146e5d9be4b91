-- Extended statistics of schema $1.
SELECT s.oid, s.stxname::text AS name, s.stxrelid AS relation, s.stxowner AS owner,
    nullif(s.stxstattarget::int, -1) AS target,
    quote_ident(n.nspname) || '.' || quote_ident(s.stxname) AS qualified
FROM pg_statistic_ext s JOIN pg_namespace n ON n.oid = s.stxnamespace
WHERE s.stxnamespace = $1
ORDER BY s.stxname
