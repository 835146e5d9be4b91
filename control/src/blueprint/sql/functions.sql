-- Functions, procedures and aggregates of schema $1.
SELECT p.oid, p.proname::text AS name, p.prokind::text AS kind, p.proowner AS owner, l.lanname::text AS language,
    p.prosrc AS body, p.prosqlbody IS NOT NULL AS parsed_body,
    (SELECT s.value FROM unnest(p.proconfig) c(setting), LATERAL (SELECT substr(setting, 13) AS value) s
        WHERE c.setting LIKE 'search_path=%') AS search_path,
    quote_ident(n.nspname) || '.' || quote_ident(p.proname) AS qualified
FROM pg_proc p
    JOIN pg_namespace n ON n.oid = p.pronamespace
    JOIN pg_language l ON l.oid = p.prolang
WHERE p.pronamespace = $1
    AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype IN ('e', 'i'))
ORDER BY p.proname, p.oid
