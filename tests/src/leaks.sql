-- What in schema $1 depends on something in another schema, or on somebody's in another: each as `what: on what`.
-- The schemas $2 may be depended on, and what belongs to an extension.
WITH RECURSIVE goes_with AS (
    SELECT classid, objid, refclassid, refobjid FROM pg_depend WHERE deptype IN ('a', 'i', 'P', 'S')
), members (schema, classid, objid) AS (
    SELECT n.nspname::text, d.classid, d.objid FROM pg_namespace n JOIN pg_depend d ON d.refclassid = 'pg_namespace'::regclass AND d.refobjid = n.oid
    UNION
    SELECT m.schema, g.classid, g.objid FROM goes_with g JOIN members m ON g.refclassid = m.classid AND g.refobjid = m.objid
)
SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid) || ': ' || pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid)
FROM members m
    JOIN pg_depend d ON d.classid = m.classid AND d.objid = m.objid
    LEFT JOIN members other ON other.classid = d.refclassid AND other.objid = d.refobjid
    LEFT JOIN pg_namespace n ON d.refclassid = 'pg_namespace'::regclass AND n.oid = d.refobjid
WHERE m.schema = $1 AND coalesce(other.schema, n.nspname) NOT IN ($1, 'pg_toast')
    AND coalesce(other.schema, n.nspname) <> ALL ($2)
    AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.refclassid AND e.objid = d.refobjid AND e.deptype = 'e')
ORDER BY 1
