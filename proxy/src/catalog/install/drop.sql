-- Takes out what `pgstrata sql event-trigger` put in.
BEGIN;
DROP EVENT TRIGGER IF EXISTS pgstrata_ddl;
DROP EVENT TRIGGER IF EXISTS pgstrata_drop;
DROP FUNCTION IF EXISTS pgstrata.notify_catalog();
DROP SCHEMA IF EXISTS pgstrata;
COMMIT;
