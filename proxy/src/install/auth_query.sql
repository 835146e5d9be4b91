-- What [auth_query] asks: the secrets of roles that may log in, for pgstrata to check passwords against. For a
-- superuser, once in the database that is asked; it can be run again.
BEGIN;

CREATE SCHEMA IF NOT EXISTS pgstrata;
-- If somebody made it before: no other owner may change what reads everybody's secrets.
ALTER SCHEMA pgstrata OWNER TO CURRENT_USER;
REVOKE ALL ON SCHEMA pgstrata FROM PUBLIC;

-- The role that asks. Give it a password: \password pgstrata_auth
DO $pgstrata$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pgstrata_auth') THEN
    CREATE ROLE pgstrata_auth LOGIN;
  END IF;
  EXECUTE pg_catalog.format('GRANT CONNECT ON DATABASE %I TO pgstrata_auth', pg_catalog.current_database());
END
$pgstrata$;

-- The tenants that a role may name: names, or patterns with *. A role that has none here has those of the configuration.
CREATE TABLE IF NOT EXISTS pgstrata.login_tenants (
  rolname name NOT NULL,
  tenant text NOT NULL,
  PRIMARY KEY (rolname, tenant)
);
ALTER TABLE pgstrata.login_tenants OWNER TO CURRENT_USER;
REVOKE ALL ON pgstrata.login_tenants FROM PUBLIC;

-- No superuser's secret, nor one that has expired, leaves PostgreSQL.
CREATE OR REPLACE FUNCTION pgstrata.login(asked text, OUT name text, OUT secret text, OUT tenants text[])
RETURNS SETOF record
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $pgstrata$
  SELECT a.rolname::text, a.rolpassword,
    (SELECT array_agg(t.tenant ORDER BY t.tenant) FROM pgstrata.login_tenants t WHERE t.rolname = a.rolname)
  FROM pg_catalog.pg_authid a
  WHERE a.rolname = asked::name AND a.rolname::text = asked
    AND a.rolcanlogin AND NOT a.rolsuper AND NOT a.rolreplication
    AND (a.rolvaliduntil IS NULL OR a.rolvaliduntil > now())
$pgstrata$;
ALTER FUNCTION pgstrata.login(text) OWNER TO CURRENT_USER;
REVOKE ALL ON FUNCTION pgstrata.login(text) FROM PUBLIC;

GRANT USAGE ON SCHEMA pgstrata TO pgstrata_auth;
GRANT EXECUTE ON FUNCTION pgstrata.login(text) TO pgstrata_auth;
COMMIT;
