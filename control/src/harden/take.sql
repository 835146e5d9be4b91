-- Takes away in PostgreSQL what no tenant's SQL needs and no tenant may use, whatever gets through a proxy. For a
-- superuser, in each database with tenants; it can be run again, after an extension was installed, for one.
-- What was taken is in pgstrata.hardening; `pgstrata sql harden --undo` prints what gives it back. Run that before
-- pg_upgrade, which can not restore the privileges of functions that the next version does not have.
--
-- Functions and relations of pg_catalog are taken from PUBLIC, and so from every role of this database that is no
-- superuser; members of pg_read_all_stats and pg_signal_backend keep theirs. Other roles that need one: GRANT it to them.
--
-- What stays, since the proxy or drivers need it as the servers' role:
--   set_config()        sets the tenant's search path in the extended protocol; pg_dump and drivers call it
--   pg_locks, pg_cursors, pg_prepared_statements    say whether a client must keep its server
--   pg_prepared_xacts   a tenant's own prepared transactions
--   pg_get_sequence_data()    pg_dump 18
--   pg_notify(), advisory locks    the tenant's own, by the proxy's rewriting
BEGIN;
SET LOCAL search_path = pg_catalog, pg_temp;
DO $pgstrata$
DECLARE
  item record;
  taken integer := 0;
BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {servers}) THEN
    RAISE EXCEPTION 'role "%" does not exist', {servers}
      USING HINT = 'It is "user" in [databases.NAME] of the configuration.', ERRCODE = 'undefined_object';
  END IF;
  IF current_user = {servers} OR NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    RAISE EXCEPTION 'it takes a superuser other than "%" to change the privileges of pg_catalog', {servers}
      USING ERRCODE = 'insufficient_privilege', HINT =
        'Where nobody can be one, `pgstrata tenant audit` shows the SQL for each item: run what you may.';
  END IF;
  IF to_regclass('pgstrata.hardening') IS NULL THEN
    IF to_regnamespace('pgstrata') IS NULL THEN
      CREATE SCHEMA pgstrata;
    END IF;
    ALTER SCHEMA pgstrata OWNER TO CURRENT_USER;
    REVOKE ALL ON SCHEMA pgstrata FROM PUBLIC;
    CREATE TABLE pgstrata.hardening (
      step integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      taken_at timestamptz NOT NULL DEFAULT now(),
      taken text NOT NULL,
      undo text NOT NULL
    );
  END IF;
  FOR pass IN 1 .. 2 LOOP
    FOR item IN
{items}
    LOOP
      IF pass = 2 THEN
        RAISE EXCEPTION 'this is not gone: % % %', item.take, item.object, item.take_from
          USING HINT = 'Another role than the owner has granted it: REVOKE it as that one.';
      END IF;
      IF item.keeper IS NOT NULL THEN
        EXECUTE concat_ws(' ', item.give, item.object, 'TO', item.keeper);
      END IF;
      EXECUTE concat_ws(' ', item.take, nullif(item.object, ''), item.take_from);
      INSERT INTO pgstrata.hardening (taken, undo) VALUES (
        concat_ws(' ', item.take, nullif(item.object, ''), item.take_from),
        concat_ws(' ', item.give, nullif(item.object, ''), item.give_to)
          || CASE WHEN item.keeper IS NULL THEN '' ELSE concat_ws(' ', ';', item.take, item.object, 'FROM', item.keeper) END);
      taken := taken + 1;
    END LOOP;
  END LOOP;
  RAISE NOTICE '% privileges were taken away', taken;
END
$pgstrata$;
COMMIT;
