-- Triggers of relations $1. Those of partitions that come from their parent's only if they are enabled otherwise,
-- or have a comment of their own.
SELECT t.oid, t.tgname::text AS name, t.tgrelid AS relation, t.tgenabled::text AS enabled, t.tgparentid <> 0 AS inherited
FROM pg_trigger t LEFT JOIN pg_trigger p ON p.oid = t.tgparentid
WHERE t.tgrelid = ANY ($1) AND NOT t.tgisinternal AND (t.tgparentid = 0 OR t.tgenabled <> p.tgenabled OR obj_description(t.oid, 'pg_trigger') IS NOT NULL)
ORDER BY t.tgname
