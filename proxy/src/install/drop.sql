-- Takes out what `pgstrata sql event-trigger` put in.
BEGIN;
DROP EVENT TRIGGER IF EXISTS pgstrata_ddl;
DROP EVENT TRIGGER IF EXISTS pgstrata_drop;
DROP FUNCTION IF EXISTS pgstrata.notify_catalog();
-- The schema may also hold what `pgstrata sql harden` has noted.
DO $pgstrata$
BEGIN
  DROP SCHEMA IF EXISTS pgstrata;
EXCEPTION WHEN dependent_objects_still_exist THEN
  NULL;
END
$pgstrata$;
COMMIT;
