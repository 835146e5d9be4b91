-- Who makes, changes and drops tenants: `pgstrata tenant`. No superuser.
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'app_owner') THEN
        CREATE ROLE app_owner LOGIN PASSWORD 'app_owner';
    END IF;
END $$;
GRANT CONNECT, CREATE ON DATABASE app TO app_owner;
GRANT USAGE ON SCHEMA public TO app_owner;
GRANT app TO app_owner;
ALTER SCHEMA acme_corp OWNER TO app_owner;
ALTER SCHEMA globex OWNER TO app_owner;

-- What new tenants are copies of. Their tables are the application's own, as those of the first two are.
CREATE SCHEMA template AUTHORIZATION app_owner;
GRANT USAGE, CREATE ON SCHEMA template TO app;
SET ROLE app;
SET search_path TO template;
%TABLES%
RESET ROLE;
