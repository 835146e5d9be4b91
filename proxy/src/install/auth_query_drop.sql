-- Takes out what `pgstrata sql auth-query` put in, but for the role pgstrata_auth.
BEGIN;
DROP FUNCTION IF EXISTS pgstrata.login(text);
DROP TABLE IF EXISTS pgstrata.login_tenants;
DO $pgstrata$
BEGIN
  IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'pgstrata_auth') THEN
    EXECUTE pg_catalog.format('REVOKE CONNECT ON DATABASE %I FROM pgstrata_auth', pg_catalog.current_database());
    IF EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = 'pgstrata') THEN
      REVOKE ALL ON SCHEMA pgstrata FROM pgstrata_auth;
    END IF;
  END IF;
  -- The schema may also hold what the other commands have put there.
  BEGIN
    DROP SCHEMA IF EXISTS pgstrata;
  EXCEPTION WHEN dependent_objects_still_exist THEN
    NULL;
  END;
END
$pgstrata$;
COMMIT;
