-- What else there is in schema $1 that is not known how to copy.
SELECT pg_describe_object(d.classid, d.objid, 0) AS what
FROM pg_depend d
WHERE d.refclassid = 'pg_namespace'::regclass AND d.refobjid = $1
    AND d.classid::regclass::text NOT IN ('pg_class', 'pg_type', 'pg_proc', 'pg_constraint', 'pg_statistic_ext', 'pg_default_acl',
        'pg_collation', 'pg_conversion', 'pg_operator', 'pg_opclass', 'pg_opfamily',
        'pg_ts_config', 'pg_ts_dict', 'pg_ts_parser', 'pg_ts_template',
        -- A publication of all tables of the schema, and an extension that is in it, are the database's.
        'pg_publication_namespace', 'pg_extension')
    AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e')
ORDER BY 1
