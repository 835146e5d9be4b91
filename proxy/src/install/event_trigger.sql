-- What tells every pgstrata that listens (tenancy.catalog_notify) which schemas
-- a command has changed. For a superuser, once in each database; it can be run again.
BEGIN;

CREATE SCHEMA IF NOT EXISTS pgstrata;
-- If somebody made it before: no other owner may change what runs in everybody's DDL.
ALTER SCHEMA pgstrata OWNER TO CURRENT_USER;
REVOKE ALL ON SCHEMA pgstrata FROM PUBLIC;

CREATE OR REPLACE FUNCTION pgstrata.notify_catalog() RETURNS event_trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $pgstrata$
DECLARE
  changed text[];  -- schemas; '' stands for all of them
  stack text;
BEGIN
  -- A full queue would make the command's COMMIT fail.
  IF pg_catalog.pg_notification_queue_usage() > 0.5 THEN
    RETURN;
  END IF;

  IF TG_EVENT = 'sql_drop' THEN
    SELECT pg_catalog.array_agg(DISTINCT d.name) INTO changed
    FROM (
      SELECT coalesce(o.schema_name,
        CASE
          WHEN o.object_type = 'schema' THEN o.object_name
          WHEN o.object_type IN ('trigger', 'policy', 'rule', 'default value') THEN o.address_names[1]
        END, '') AS name
      FROM pg_catalog.pg_event_trigger_dropped_objects() o
      WHERE NOT o.is_temporary
        AND o.object_type NOT IN ('default acl', 'publication relation', 'publication namespace')
    ) d
    WHERE d.name NOT LIKE 'pg\_temp%' AND d.name NOT LIKE 'pg\_toast%';
  ELSE
    SELECT pg_catalog.array_agg(DISTINCT d.name) INTO changed
    FROM (
      SELECT coalesce(c.schema_name,
        CASE
          -- Renamed, it had another name, which nobody knows any more.
          WHEN c.command_tag = 'CREATE SCHEMA' THEN
            (SELECT n.nspname::text FROM pg_catalog.pg_namespace n WHERE n.oid = c.objid)
          ELSE
            (SELECT n.nspname::text
             FROM pg_catalog.pg_class r JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
             WHERE r.oid = CASE c.classid
               WHEN 'pg_catalog.pg_trigger'::regclass THEN
                 (SELECT t.tgrelid FROM pg_catalog.pg_trigger t WHERE t.oid = c.objid)
               WHEN 'pg_catalog.pg_policy'::regclass THEN
                 (SELECT p.polrelid FROM pg_catalog.pg_policy p WHERE p.oid = c.objid)
               WHEN 'pg_catalog.pg_rewrite'::regclass THEN
                 (SELECT w.ev_class FROM pg_catalog.pg_rewrite w WHERE w.oid = c.objid)
             END)
        END, '') AS name
      FROM pg_catalog.pg_event_trigger_ddl_commands() c
      -- These change nothing that names mean.
      WHERE c.command_tag NOT IN ('GRANT', 'REVOKE', 'COMMENT', 'SECURITY LABEL', 'REINDEX',
        'ALTER DEFAULT PRIVILEGES', 'REFRESH MATERIALIZED VIEW')
    ) d
    WHERE d.name NOT LIKE 'pg\_temp%' AND d.name NOT LIKE 'pg\_toast%';

    -- ALTER .. SET SCHEMA: only the new schema is told. The word must be in the command's text,
    -- which can be seen if no function and no extension's script is around it.
    IF changed IS NOT NULL AND TG_TAG LIKE 'ALTER %' THEN
      GET DIAGNOSTICS stack = PG_CONTEXT;
      IF pg_catalog.strpos(stack, E'\n') > 0
        OR coalesce(pg_catalog.current_query(), 'schema') ILIKE '%schema%'
        OR EXISTS (SELECT FROM pg_catalog.pg_event_trigger_ddl_commands() c WHERE c.in_extension)
      THEN
        changed := changed || ''::text;
      END IF;
    END IF;
  END IF;

  IF '' = ANY (changed) OR pg_catalog.cardinality(changed) > 100 THEN
    changed := ARRAY[''];
  END IF;
  FOR i IN 1 .. coalesce(pg_catalog.cardinality(changed), 0) LOOP
    -- Not pg_notify(): a role may have lost the right to call it.
    EXECUTE pg_catalog.format('NOTIFY pgstrata_catalog, %L', changed[i]);
  END LOOP;
EXCEPTION WHEN OTHERS THEN
  -- The command must not fail for it.
  BEGIN
    NOTIFY pgstrata_catalog;
  EXCEPTION WHEN OTHERS THEN
    NULL;
  END;
END
$pgstrata$;
ALTER FUNCTION pgstrata.notify_catalog() OWNER TO CURRENT_USER;

DROP EVENT TRIGGER IF EXISTS pgstrata_ddl;
CREATE EVENT TRIGGER pgstrata_ddl ON ddl_command_end EXECUTE FUNCTION pgstrata.notify_catalog();
DROP EVENT TRIGGER IF EXISTS pgstrata_drop;
CREATE EVENT TRIGGER pgstrata_drop ON sql_drop EXECUTE FUNCTION pgstrata.notify_catalog();
-- Under session_replication_role = replica, too.
ALTER EVENT TRIGGER pgstrata_ddl ENABLE ALWAYS;
ALTER EVENT TRIGGER pgstrata_drop ENABLE ALWAYS;

COMMIT;
