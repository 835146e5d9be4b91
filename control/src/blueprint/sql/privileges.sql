-- How privileges on objects ($1: their catalogs, $2: their ids) and on schema $3 differ from those that they have
-- once role $4 has made them and given them to their owners.
WITH RECURSIVE objects AS (
    SELECT * FROM unnest($1::oid[], $2::oid[]) o(class, oid)
), acls AS (
    SELECT o.class, o.oid, 0 AS number, c.relacl AS acl, c.relowner AS owner,
        CASE c.relkind WHEN 'S' THEN 's'::"char" ELSE 'r'::"char" END AS kind
    FROM objects o JOIN pg_class c ON o.class = 'pg_class'::regclass AND c.oid = o.oid
    WHERE c.relkind NOT IN ('i', 'I', 'c')
    UNION ALL
    SELECT o.class, o.oid, a.attnum, a.attacl, c.relowner, 'c'
    FROM objects o JOIN pg_class c ON o.class = 'pg_class'::regclass AND c.oid = o.oid
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attacl IS NOT NULL AND NOT a.attisdropped
    UNION ALL
    SELECT o.class, o.oid, 0, p.proacl, p.proowner, 'f'
    FROM objects o JOIN pg_proc p ON o.class = 'pg_proc'::regclass AND p.oid = o.oid
    UNION ALL
    SELECT o.class, o.oid, 0, t.typacl, t.typowner, 'T'
    FROM objects o JOIN pg_type t ON o.class = 'pg_type'::regclass AND t.oid = o.oid AND t.typisdefined
    UNION ALL
    SELECT 'pg_namespace'::regclass, n.oid, 0, n.nspacl, n.nspowner, 'n' FROM pg_namespace n WHERE n.oid = $3
), wanted AS (
    SELECT a.class, a.oid, a.number, a.owner, e.*
    FROM acls a, LATERAL aclexplode(coalesce(a.acl, acldefault(a.kind, a.owner)))
        WITH ORDINALITY e (grantor, grantee, privilege_type, is_grantable, place)
), given AS (
    SELECT a.class, a.oid, a.number, a.owner,
        CASE e.grantor WHEN d.defaclrole THEN a.owner ELSE e.grantor END AS grantor,
        CASE e.grantee WHEN d.defaclrole THEN a.owner ELSE e.grantee END AS grantee,
        e.privilege_type, e.is_grantable, e.place
    FROM acls a
        -- Of public, only what was added to what every database has counts.
        LEFT JOIN pg_init_privs i ON a.kind = 'n' AND i.classoid = a.class AND i.objoid = a.oid
        -- To give nothing to anybody PostgreSQL takes for no wish at all.
        LEFT JOIN pg_default_acl d ON d.defaclnamespace = 0 AND cardinality(d.defaclacl) > 0
            AND d.defaclobjtype = CASE a.kind WHEN 's' THEN 'S' ELSE a.kind END
            AND d.defaclrole = CASE a.kind WHEN 'n' THEN a.owner ELSE $4 END,
        LATERAL aclexplode(coalesce(i.initprivs, d.defaclacl, acldefault(a.kind, a.owner)))
            WITH ORDINALITY e (grantor, grantee, privilege_type, is_grantable, place)
), of_schema AS (
    SELECT grantee, EXISTS (SELECT FROM given g WHERE g.class = w.class AND g.grantee = w.grantee AND g.privilege_type = 'USAGE') AS given
    FROM wanted w WHERE class = 'pg_namespace'::regclass AND privilege_type = 'USAGE'
), residents AS (
    -- PUBLIC may enter public, but no tenant's schema: those may who have or were granted something in it.
    SELECT 'pg_namespace'::regclass::oid AS class, $3::oid AS oid, 0 AS number, n.nspowner AS owner, n.nspowner AS grantor,
        r.role AS grantee, 'USAGE' AS privilege_type, false AS is_grantable, 0::bigint AS place
    FROM pg_namespace n, (SELECT owner AS role FROM acls UNION SELECT grantee FROM wanted WHERE class <> 'pg_namespace'::regclass) r
    WHERE n.oid = $3 AND r.role NOT IN (0, n.nspowner, $4)
        AND EXISTS (SELECT FROM of_schema s WHERE s.grantee = 0 AND s.given)
        AND NOT EXISTS (SELECT FROM of_schema s WHERE s.grantee = r.role)
), changes AS (
    SELECT w.place IS NOT NULL AS granted, class, oid, number, owner, grantor, grantee, privilege_type, is_grantable,
        coalesce(w.place, g.place) AS place
    FROM wanted w FULL JOIN given g USING (class, oid, number, owner, grantor, grantee, privilege_type, is_grantable)
    WHERE w.place IS NULL OR g.place IS NULL
    UNION ALL
    SELECT true, * FROM residents
), ranked AS (
    SELECT c.*, c.place AS turn, 0 AS rank FROM changes c WHERE NOT c.granted OR c.grantor = c.owner
    UNION ALL
    -- Who passes a privilege on has got it first.
    SELECT c.*, greatest(c.place, r.turn), r.rank + 1
    FROM ranked r JOIN changes c ON c.class = r.class AND c.oid = r.oid AND c.number = r.number
        AND c.privilege_type = r.privilege_type AND c.grantor = r.grantee AND c.grantor <> c.owner
    WHERE c.granted AND r.granted AND r.is_grantable
)
SELECT class, oid, number::int, granted, privilege_type AS privilege, is_grantable AS grantable,
    CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END AS grantee,
    CASE WHEN grantor <> owner THEN quote_ident(pg_get_userbyid(grantor)) END AS grantor,
    EXISTS (SELECT FROM of_schema s WHERE s.grantee = r.grantor) AS may_enter
FROM ranked r
GROUP BY class, oid, number, granted, privilege_type, is_grantable, grantee, grantor, owner, place
ORDER BY class <> 'pg_namespace'::regclass, class, oid, number, granted, max(turn), max(rank), place
