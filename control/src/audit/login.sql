-- What is wrong with role $1, which the proxy's servers log in as; $2: schemas that all tenants share,
-- $3: roles of tenants that it takes for their transactions.
SELECT what FROM pg_roles r, LATERAL (
    VALUES (CASE WHEN rolsuper THEN 'is a superuser: PostgreSQL refuses nothing to it' END),
        (CASE WHEN rolbypassrls THEN 'has BYPASSRLS' END), (CASE WHEN rolcreaterole THEN 'has CREATEROLE' END),
        (CASE WHEN rolreplication THEN 'has REPLICATION' END)
    UNION ALL SELECT 'is a member of role "' || g.rolname || '"'
    FROM pg_auth_members m JOIN pg_roles g ON g.oid = m.roleid
    WHERE m.member = r.oid AND (g.rolsuper OR g.rolname IN ('pg_read_all_data', 'pg_write_all_data', 'pg_read_server_files',
        'pg_write_server_files', 'pg_execute_server_program', 'pg_maintain', 'pg_signal_backend', 'pg_monitor'))
    UNION ALL SELECT 'may create objects in schema "' || n.nspname || '", which all tenants have on their path'
    FROM pg_namespace n WHERE n.nspname = ANY ($2::text[]) AND has_schema_privilege(r.oid, n.oid, 'CREATE')
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
