-- What roles ($2, those of the tenants with schemas $1) can reach that is not theirs. $3: schemas that all share;
-- $4: whether nobody may log in as them.
WITH RECURSIVE tenants AS (
    SELECT t.schema, t.role AS name, r.oid, r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolcreatedb, r.rolreplication,
        r.rolcanlogin, t.nologin
    FROM unnest($1::text[], $2::text[], $4::bool[]) t(schema, role, nologin) LEFT JOIN pg_roles r ON r.rolname = t.role
), reach (tenant, role) AS (
    SELECT oid, oid FROM tenants WHERE oid IS NOT NULL
    UNION SELECT r.tenant, m.roleid FROM reach r JOIN pg_auth_members m ON m.member = r.role
), hands (tenant, role) AS (
    SELECT tenant, role FROM reach UNION ALL SELECT oid, 0 FROM tenants WHERE oid IS NOT NULL
), namespaces AS (
    SELECT n.nspname::text AS schema, n.oid, a.grantee, a.privilege_type AS privilege
    FROM pg_namespace n, aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) a
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
), findings AS (
    SELECT t.schema, 'its role "' || t.name || '" does not exist' AS what FROM tenants t WHERE t.oid IS NULL
    UNION ALL SELECT t.schema, 'its role "' || t.name || '" ' || f.what FROM tenants t, LATERAL (VALUES
        (t.rolsuper, 'is a superuser: PostgreSQL refuses nothing to it'), (t.rolbypassrls, 'has BYPASSRLS'),
        (t.rolcreaterole, 'has CREATEROLE'), (t.rolcreatedb, 'has CREATEDB'), (t.rolreplication, 'has REPLICATION'),
        (t.nologin AND t.rolcanlogin, 'can log in, past the proxy'), (NOT t.nologin AND NOT t.rolcanlogin, 'can''t log in')
    ) f(found, what) WHERE f.found
    UNION ALL SELECT t.schema, 'it is a member of role "' || g.rolname || '"'
    FROM tenants t JOIN reach r ON r.tenant = t.oid JOIN pg_roles g ON g.oid = r.role
    WHERE r.role <> t.oid AND (g.rolsuper OR g.rolbypassrls OR g.rolcreaterole OR g.rolname ~ '^pg_'
        OR r.role IN (SELECT oid FROM tenants WHERE oid IS NOT NULL))
    UNION ALL SELECT t.schema, 'it may not use its own schema'
    FROM tenants t WHERE t.oid IS NOT NULL AND NOT EXISTS (
        SELECT FROM hands h JOIN namespaces n ON n.grantee = h.role AND n.privilege = 'USAGE'
        WHERE h.tenant = t.oid AND n.schema = t.schema)
    UNION ALL SELECT t.schema, 'it has ' || string_agg(DISTINCT n.privilege, ', ') || ' on schema "' || n.schema || '"'
        || CASE WHEN bool_and(h.role = 0) THEN ', as everybody has' ELSE '' END
    FROM tenants t JOIN hands h ON h.tenant = t.oid JOIN namespaces n ON n.grantee = h.role
    WHERE n.schema <> t.schema AND (n.schema <> ALL ($3::text[]) OR n.privilege <> 'USAGE')
    GROUP BY t.schema, n.schema
    UNION ALL SELECT t.schema, 'it owns schema "' || n.nspname || '"'
    FROM tenants t JOIN reach r ON r.tenant = t.oid JOIN pg_namespace n ON n.nspowner = r.role WHERE n.nspname <> t.schema
    UNION ALL SELECT t.schema, 'it owns ' || count(*) || ' relations in schema "' || n.nspname || '"'
    FROM tenants t JOIN reach r ON r.tenant = t.oid JOIN pg_class c ON c.relowner = r.role
        JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname <> t.schema AND n.nspname !~ '^pg_' AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    GROUP BY t.schema, n.nspname
    UNION ALL SELECT t.schema, 'it was given ' || string_agg(DISTINCT a.privilege_type, ', ') || ' on relations in schema "'
        || n.nspname || '"'
    FROM tenants t JOIN reach r ON r.tenant = t.oid
        JOIN (pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) a JOIN pg_namespace n ON n.oid = c.relnamespace) ON a.grantee = r.role
    WHERE n.nspname <> t.schema AND (n.nspname <> ALL ($3::text[]) OR a.privilege_type <> 'SELECT')
    GROUP BY t.schema, n.nspname
    UNION ALL SELECT t.schema, 'it may CREATE schemas in the database'
    FROM tenants t WHERE t.oid IS NOT NULL AND has_database_privilege(t.oid, current_database(), 'CREATE')
)
SELECT schema, what FROM findings ORDER BY schema, what
