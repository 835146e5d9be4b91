-- All that is in schema $1, as one number: it changes with each object that comes or goes.
SELECT md5(coalesce(string_agg(d.classid || ' ' || d.objid, ',' ORDER BY d.classid, d.objid), ''))
FROM pg_depend d
WHERE d.refclassid = 'pg_namespace'::regclass
    AND d.refobjid = (SELECT oid FROM pg_namespace WHERE nspname = $1::text::name)
