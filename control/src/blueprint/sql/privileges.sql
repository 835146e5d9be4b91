-- How privileges on objects ($1: their catalogs, $2: their ids) and on schema $3 differ from what their owners start with.
WITH acls AS (
    SELECT o.class, o.oid, 0 AS number, c.relacl AS acl, c.relowner AS owner,
        acldefault(CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r'::"char" END, c.relowner) AS initial
    FROM unnest($1::oid[], $2::oid[]) o(class, oid) JOIN pg_class c ON o.class = 'pg_class'::regclass AND c.oid = o.oid
    UNION ALL
    SELECT o.class, o.oid, a.attnum, a.attacl, c.relowner, '{}'
    FROM unnest($1::oid[], $2::oid[]) o(class, oid) JOIN pg_class c ON o.class = 'pg_class'::regclass AND c.oid = o.oid
        JOIN pg_attribute a ON a.attrelid = c.oid AND NOT a.attisdropped
    UNION ALL
    SELECT o.class, o.oid, 0, p.proacl, p.proowner, acldefault('f', p.proowner)
    FROM unnest($1::oid[], $2::oid[]) o(class, oid) JOIN pg_proc p ON o.class = 'pg_proc'::regclass AND p.oid = o.oid
    UNION ALL
    SELECT o.class, o.oid, 0, t.typacl, t.typowner, acldefault('T', t.typowner)
    FROM unnest($1::oid[], $2::oid[]) o(class, oid) JOIN pg_type t ON o.class = 'pg_type'::regclass AND t.oid = o.oid
    UNION ALL
    -- Of public, only what was added to what every database has.
    SELECT 'pg_namespace'::regclass, n.oid, 0, n.nspacl, n.nspowner, coalesce(i.initprivs, acldefault('n', n.nspowner))
    FROM pg_namespace n LEFT JOIN pg_init_privs i ON i.classoid = 'pg_namespace'::regclass AND i.objoid = n.oid
    WHERE n.oid = $3
), changes AS (
    SELECT a.class, a.oid, a.number, a.owner, true AS granted, e.* FROM acls a, LATERAL (
        SELECT * FROM aclexplode(a.acl) EXCEPT SELECT * FROM aclexplode(a.initial)) e WHERE a.acl IS NOT NULL
    UNION ALL
    SELECT a.class, a.oid, a.number, a.owner, false, e.* FROM acls a, LATERAL (
        SELECT * FROM aclexplode(a.initial) EXCEPT SELECT * FROM aclexplode(a.acl)) e WHERE a.acl IS NOT NULL
)
SELECT class, oid, number::int, granted, privilege_type AS privilege, is_grantable AS grantable,
    CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS grantee,
    CASE WHEN grantor <> owner THEN quote_ident(pg_get_userbyid(grantor)) END AS grantor
FROM changes
-- What an owner grants comes first: others pass it on.
ORDER BY class, oid, number, granted, grantor <> owner, grantable DESC, grantee, privilege_type
