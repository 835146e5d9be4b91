-- What else there is in schema $1 that is not known how to copy: all but the catalogs $2.
SELECT pg_describe_object(d.classid, d.objid, 0) AS what
FROM pg_depend d
WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = $1 AND d.classid <> ALL ($2)
    AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e')
ORDER BY 1
