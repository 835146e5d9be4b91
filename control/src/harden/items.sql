-- What is to be taken away from the role that the proxy's servers log in as, and from everybody, and is there now: a
-- row for each. No mark stands in a comment: what takes its place may have more than one line.
WITH servers AS (
    SELECT r.*, quote_ident(r.rolname) AS name FROM pg_roles r WHERE r.rolname = {servers}
), grantees AS (
    SELECT 0::oid AS oid, 'PUBLIC' AS name UNION ALL SELECT oid, name FROM servers
), shared AS (
    SELECT n.oid, n.nspname, n.nspowner, quote_ident(n.nspname) AS name FROM pg_namespace n
    WHERE n.nspname = ANY ({shared}::text[] || 'public'::text) AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
        AND NOT {shared_writes} AND NOT ({makes} AND n.nspname = {source})
), called (topic, extension, pattern, arguments, keeper) AS (
    VALUES ('may use large objects, which belong to no schema', false, 'lo\_%', NULL, NULL),
        ('may use large objects, which belong to no schema', false, 'loread', NULL, NULL),
        ('may use large objects, which belong to no schema', false, 'lowrite', NULL, NULL),
        ('may use large objects, which belong to no schema', true, 'lo\_manage', NULL, NULL),
        ('may end and cancel sessions of its own role, and so of all tenants', false, 'pg\_terminate\_backend', NULL, 'pg_signal_backend'),
        ('may end and cancel sessions of its own role, and so of all tenants', false, 'pg\_cancel\_backend', NULL, 'pg_signal_backend'),
        ('may see what sessions of its own role run, and so of all tenants', false, 'pg\_stat\_get\_activity', NULL, 'pg_read_all_stats'),
        ('may see what sessions of its own role run, and so of all tenants', false, 'pg\_stat\_get\_backend\_%', NULL, 'pg_read_all_stats'),
        ('may see what sessions of its own role run, and so of all tenants', false, 'pg\_stat\_get\_progress\_info', NULL, 'pg_read_all_stats'),
        ('may see what sessions of its own role run, and so of all tenants', true, 'pg\_stat\_statements%', NULL, 'pg_read_all_stats'),
        ('may call functions that run text as SQL', false, 'query\_to\_xml%', NULL, NULL),
        ('may call functions that run text as SQL', false, 'table\_to\_xml%', NULL, NULL),
        ('may call functions that run text as SQL', false, 'schema\_to\_xml%', NULL, NULL),
        ('may call functions that run text as SQL', false, 'database\_to\_xml%', NULL, NULL),
        ('may call functions that run text as SQL', false, 'cursor\_to\_xml%', NULL, NULL),
        ('may call functions that run text as SQL', false, 'ts\_stat', NULL, NULL),
        ('may call functions that run text as SQL', false, 'ts\_rewrite', 'tsquery, text', NULL),
        ('may call functions that run text as SQL', true, 'dblink%', NULL, NULL),
        ('may call functions that run text as SQL', true, 'crosstab%', NULL, NULL),
        ('may call functions that run text as SQL', true, 'connectby', NULL, NULL),
        ('may call functions that run text as SQL', true, 'xpath\_table', NULL, NULL),
        ('may use triggers whose arguments name tables, sequences and channels of any schema', true, 'check\_primary\_key', NULL, NULL),
        ('may use triggers whose arguments name tables, sequences and channels of any schema', true, 'check\_foreign\_key', NULL, NULL),
        ('may use triggers whose arguments name tables, sequences and channels of any schema', true, 'autoinc', NULL, NULL),
        ('may use triggers whose arguments name tables, sequences and channels of any schema', true, 'triggered\_change\_notification', NULL, NULL),
        ('may read where sequences of all schemas stand', false, 'pg\_sequence\_last\_value', NULL, NULL),
        ('may change the statistics of tables that it owns, and so of all tenants', false, 'pg\_restore\_%\_stats', NULL, NULL),
        ('may change the statistics of tables that it owns, and so of all tenants', false, 'pg\_clear\_%\_stats', NULL, NULL),
        ('may export snapshots and write to the WAL', false, 'pg\_export\_snapshot', NULL, NULL),
        ('may export snapshots and write to the WAL', false, 'pg\_logical\_emit\_message', NULL, NULL),
        ('may read files of the server', false, 'pg\_read\_%file', NULL, NULL),
        ('may read files of the server', false, 'pg\_ls\_%', NULL, NULL),
        ('may read files of the server', false, 'pg\_stat\_file', NULL, NULL),
        ('may read files of the server', false, 'pg\_current\_logfile', NULL, NULL),
        ('may read files of the server', false, 'pg\_hba\_file\_rules', NULL, NULL),
        ('may read files of the server', false, 'pg\_ident\_file\_mappings', NULL, NULL),
        ('may read files of the server', false, 'pg\_show\_all\_file\_settings', NULL, NULL),
        ('may read files of the server', true, 'pg\_file\_%', NULL, NULL),
        ('may control the server', false, 'pg\_reload\_conf', NULL, NULL),
        ('may control the server', false, 'pg\_rotate\_logfile', NULL, NULL),
        ('may control the server', false, 'pg\_promote', NULL, NULL),
        ('may control the server', false, 'pg\_switch\_wal', NULL, NULL),
        ('may control the server', false, 'pg\_create\_restore\_point', NULL, NULL),
        ('may control the server', false, 'pg\_backup\_%', NULL, NULL),
        ('may control the server', false, 'pg\_wal\_replay\_%', NULL, NULL),
        ('may control the server', false, 'pg\_log\_backend\_memory\_contexts', NULL, NULL),
        ('may control the server', false, 'pg\_stat\_reset%', NULL, NULL)
), relations (topic, privilege, name) AS (
    VALUES ('may set any parameter by UPDATE pg_settings, the search path among them', 'UPDATE', 'pg_settings'),
        ('may read sampled values of all tables that its role may read', 'SELECT', 'pg_stats'),
        ('may read sampled values of all tables that its role may read', 'SELECT', 'pg_stats_ext'),
        ('may read sampled values of all tables that its role may read', 'SELECT', 'pg_stats_ext_exprs'),
        ('may read sampled values of all tables that its role may read', 'SELECT', 'pg_statistic'),
        ('may read sampled values of all tables that its role may read', 'SELECT', 'pg_statistic_ext_data'),
        ('may read where sequences of all schemas stand', 'SELECT', 'pg_sequences'),
        ('may use large objects, which belong to no schema', 'SELECT', 'pg_largeobject'),
        ('may use large objects, which belong to no schema', 'SELECT', 'pg_largeobject_metadata'),
        ('may read passwords and files of the server', 'SELECT', 'pg_authid'),
        ('may read passwords and files of the server', 'SELECT', 'pg_shadow'),
        ('may read passwords and files of the server', 'SELECT', 'pg_user_mapping')
), granted (topic, privilege, on_kind, object, grantee, keeper) AS (
    SELECT c.topic, 'EXECUTE', 'FUNCTION',
        format('%I.%I(%s)', n.nspname, p.proname, oidvectortypes(p.proargtypes)), g.name, c.keeper
    FROM called c JOIN pg_proc p ON p.proname LIKE c.pattern AND p.prokind <> 'p'
            AND (c.arguments IS NULL OR c.arguments = oidvectortypes(p.proargtypes))
        JOIN pg_namespace n ON n.oid = p.pronamespace
        CROSS JOIN LATERAL aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
        JOIN grantees g ON g.oid = a.grantee
    WHERE a.privilege_type = 'EXECUTE' AND a.grantee <> p.proowner
        AND CASE WHEN c.extension THEN EXISTS (SELECT FROM pg_depend d
                WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
            ELSE n.nspname = 'pg_catalog' END
    UNION ALL SELECT r.topic, r.privilege, 'TABLE', format('pg_catalog.%I', c.relname), g.name, NULL
    FROM relations r JOIN pg_class c ON c.relname = r.name AND c.relnamespace = 'pg_catalog'::regnamespace
        CROSS JOIN LATERAL aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) a JOIN grantees g ON g.oid = a.grantee
    WHERE a.privilege_type = r.privilege AND a.grantee <> c.relowner
    UNION ALL SELECT 'may write to tables that all tenants share', a.privilege_type || a.columns, 'TABLE',
        format('%s.%I', s.name, c.relname), g.name, NULL
    FROM shared s JOIN pg_class c ON c.relnamespace = s.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
        CROSS JOIN LATERAL (
            SELECT privilege_type, grantee, '' AS columns FROM aclexplode(c.relacl)
            UNION ALL SELECT x.privilege_type, x.grantee, format(' (%I)', t.attname)
            FROM pg_attribute t, aclexplode(t.attacl) x WHERE t.attrelid = c.oid
        ) a JOIN grantees g ON g.oid = a.grantee
    WHERE a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER', 'MAINTAIN') AND a.grantee <> c.relowner
    UNION ALL SELECT 'may create objects in schema "' || s.nspname || '", which all tenants have on their path',
        'CREATE', 'SCHEMA', s.name, g.name, NULL
    FROM shared s JOIN pg_namespace n ON n.oid = s.oid CROSS JOIN LATERAL aclexplode(n.nspacl) a
        JOIN grantees g ON g.oid = a.grantee
    WHERE a.privilege_type = 'CREATE' AND a.grantee <> n.nspowner
    UNION ALL SELECT CASE a.privilege_type WHEN 'CREATE' THEN 'may create schemas in the database'
            ELSE 'may create temporary tables' END,
        a.privilege_type, 'DATABASE', quote_ident(d.datname), g.name, NULL
    FROM pg_database d CROSS JOIN LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
        JOIN grantees g ON g.oid = a.grantee
    WHERE d.datname = current_database() AND a.grantee <> d.datdba
        AND (a.privilege_type = 'CREATE' AND NOT {makes} OR a.privilege_type = 'TEMPORARY' AND {temporary})
    UNION ALL SELECT 'may make tables of other servers', a.privilege_type, 'FOREIGN SERVER', quote_ident(f.srvname), g.name, NULL
    FROM pg_foreign_server f CROSS JOIN LATERAL aclexplode(f.srvacl) a JOIN grantees g ON g.oid = a.grantee
    WHERE a.grantee <> f.srvowner
    UNION ALL SELECT 'may make tables of other servers', a.privilege_type, 'FOREIGN DATA WRAPPER', quote_ident(f.fdwname), g.name, NULL
    FROM pg_foreign_data_wrapper f CROSS JOIN LATERAL aclexplode(f.fdwacl) a JOIN grantees g ON g.oid = a.grantee
    WHERE a.grantee <> f.fdwowner
    UNION ALL SELECT 'may change the configuration of the server', 'ALTER SYSTEM', 'PARAMETER', p.parname, g.name, NULL
    FROM pg_parameter_acl p CROSS JOIN LATERAL aclexplode(p.paracl) a JOIN grantees g ON g.oid = a.grantee
    WHERE a.privilege_type = 'ALTER SYSTEM'
), open (topic, object, take, take_from, give, give_to, keeper) AS (
    SELECT topic, object, format('REVOKE %s ON %s', privilege, on_kind), 'FROM ' || grantee,
        format('GRANT %s ON %s', privilege, on_kind), 'TO ' || grantee, keeper
    FROM granted
    UNION ALL SELECT format('gets rights on tables that will be made in schema "%s", which all tenants have on their path', s.nspname), '',
        format('ALTER DEFAULT PRIVILEGES FOR ROLE %s IN SCHEMA %s REVOKE %s ON TABLES', quote_ident(o.rolname), s.name, a.privilege_type),
        'FROM ' || g.name,
        format('ALTER DEFAULT PRIVILEGES FOR ROLE %s IN SCHEMA %s GRANT %s ON TABLES', quote_ident(o.rolname), s.name, a.privilege_type),
        'TO ' || g.name, NULL
    FROM shared s JOIN pg_default_acl d ON d.defaclnamespace = s.oid AND d.defaclobjtype = 'r' JOIN pg_roles o ON o.oid = d.defaclrole
        CROSS JOIN LATERAL aclexplode(d.defaclacl) a JOIN grantees g ON g.oid = a.grantee
    WHERE a.privilege_type IN ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'TRIGGER', 'MAINTAIN')
    UNION ALL SELECT f.topic, s.name, 'ALTER ROLE', 'NO' || f.attribute, 'ALTER ROLE', f.attribute, NULL
    FROM servers s CROSS JOIN LATERAL (VALUES
        (s.rolsuper, 'is a superuser: PostgreSQL refuses nothing to it', 'SUPERUSER'), (s.rolbypassrls, 'has BYPASSRLS', 'BYPASSRLS'),
        (s.rolcreaterole AND NOT {makes}, 'has CREATEROLE', 'CREATEROLE'), (s.rolcreatedb, 'has CREATEDB', 'CREATEDB'),
        (s.rolreplication, 'has REPLICATION', 'REPLICATION')
    ) f(found, topic, attribute) WHERE f.found
    UNION ALL SELECT 'is a member of role "' || g.rolname || '"', quote_ident(g.rolname), 'REVOKE', 'FROM ' || s.name,
        'GRANT', 'TO ' || s.name, NULL
    FROM servers s JOIN pg_auth_members m ON m.member = s.oid JOIN pg_roles g ON g.oid = m.roleid
    WHERE g.rolsuper OR g.rolname ~ '^pg_' AND g.rolname <> 'pg_use_reserved_connections'
)
SELECT topic, object, take, take_from, give, give_to, keeper FROM open GROUP BY 1, 2, 3, 4, 5, 6, 7
ORDER BY topic, take, take_from, object
