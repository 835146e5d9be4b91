-- What is wrong with role $1, which the proxy's servers log in as; $2: schemas that all tenants share,
-- $3: roles of tenants that it takes for their transactions.
SELECT what FROM pg_roles r, LATERAL (
    -- What it has by a grant of its own, or everybody has, can be taken away: harden/items.sql.
    SELECT 'is through others a member of role "' || g.rolname || '"'
    FROM pg_roles g WHERE NOT r.rolsuper AND (g.rolsuper OR g.rolname ~ '^pg_' AND g.rolname NOT IN ('pg_database_owner', 'pg_use_reserved_connections'))
        AND g.oid <> r.oid AND pg_has_role(r.oid, g.oid, 'MEMBER')
        AND NOT EXISTS (SELECT FROM pg_auth_members m WHERE m.member = r.oid AND m.roleid = g.oid)
    UNION ALL SELECT 'owns the database, or is a member of the role that does'
    FROM pg_database d WHERE d.datname = current_database() AND NOT r.rolsuper AND pg_has_role(r.oid, d.datdba, 'MEMBER')
    UNION ALL SELECT 'owns schema "' || n.nspname || '", which all tenants have on their path, or is a member of the role that does'
    FROM pg_namespace n WHERE n.nspname = ANY ($2::text[]) AND NOT r.rolsuper AND n.nspowner <> 'pg_database_owner'::regrole
        AND pg_has_role(r.oid, n.nspowner, 'MEMBER')
    UNION ALL SELECT 'owns ' || count(*) || ' relations in schema "' || n.nspname || '", which all tenants share'
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relowner = r.oid AND n.nspname = ANY ($2::text[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'S')
    GROUP BY n.nspname
    UNION ALL SELECT 'may change the registry' WHERE EXISTS (
        SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = 'pgstrata_control' AND c.relkind = 'r' AND has_table_privilege(r.oid, c.oid, 'INSERT, UPDATE, DELETE'))
    UNION ALL SELECT 'can''t become ' || count(*) || ' of the tenants'' roles, "' || min(t.role) || '" among them'
    FROM unnest($3::text[]) t(role) JOIN pg_roles g ON g.rolname = t.role
    WHERE NOT pg_has_role(r.oid, g.oid, 'MEMBER') HAVING count(*) > 0
    UNION ALL SELECT 'has by itself what ' || count(*) || ' of the tenants'' roles have, "' || min(t.role) || '" among them: '
        || CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'grant them WITH INHERIT FALSE'
            ELSE 'make it NOINHERIT' END
    FROM unnest($3::text[]) t(role) JOIN pg_roles g ON g.rolname = t.role
    WHERE pg_has_role(r.oid, g.oid, 'USAGE') HAVING count(*) > 0
) f(what)
WHERE r.rolname = $1::text::name AND what IS NOT NULL
