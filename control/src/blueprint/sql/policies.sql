-- Policies of relations $1.
SELECT p.oid, p.polname::text AS name, p.polrelid AS relation, p.polpermissive AS permissive, p.polcmd::text AS command,
    (SELECT array_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END ORDER BY r)
        FROM unnest(p.polroles) r) AS roles
FROM pg_policy p
WHERE p.polrelid = ANY ($1)
ORDER BY p.polname
