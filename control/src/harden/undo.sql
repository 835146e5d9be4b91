-- Gives back what `pgstrata sql harden` has taken away in this database, and nothing else. For a superuser.
BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;
DO $pgstrata$
DECLARE
  item record;
BEGIN
  IF to_regclass('pgstrata.hardening') IS NULL THEN
    RAISE NOTICE 'nothing was taken away in this database';
    RETURN;
  END IF;
  FOR item IN SELECT undo FROM pgstrata.hardening ORDER BY step DESC LOOP
    BEGIN
      EXECUTE item.undo;
    EXCEPTION WHEN undefined_function OR undefined_table OR undefined_object OR invalid_schema_name THEN
      RAISE NOTICE 'it is no longer there: %', item.undo;
    END;
  END LOOP;
  DROP TABLE pgstrata.hardening;
  IF NOT EXISTS (SELECT FROM pg_depend WHERE refclassid = 'pg_namespace'::regclass AND refobjid = 'pgstrata'::regnamespace) THEN
    DROP SCHEMA pgstrata;
  END IF;
END
$pgstrata$;
COMMIT;
