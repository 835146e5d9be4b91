DO $proof$
DECLARE
    strays text;
BEGIN
    SELECT string_agg(pg_describe_object(d.classid, d.objid, d.objsubid) || ' on '
            || pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid), ', ')
        INTO strays
    FROM unnest(ARRAY[$1]::oid[], ARRAY[$2]::oid[]) o(class, oid)
        JOIN pg_depend d ON d.refclassid = o.class AND d.refobjid = o.oid
    WHERE d.xmin = pg_current_xact_id()::xid;
    IF strays IS NOT NULL THEN
        RAISE EXCEPTION 'the copy would depend on the schema that it is a copy of: %', strays USING ERRCODE = '2BP01';
    END IF;
    -- Nothing of the schema was meant where a name was not found in the copy, either.
    WITH rows (class, oid, xmin) AS (
        SELECT 'pg_class'::regclass, oid, xmin FROM pg_class
        UNION ALL SELECT 'pg_class'::regclass, attrelid, xmin FROM pg_attribute
        UNION ALL SELECT 'pg_type'::regclass, oid, xmin FROM pg_type
        UNION ALL SELECT 'pg_proc'::regclass, oid, xmin FROM pg_proc
        UNION ALL SELECT 'pg_operator'::regclass, oid, xmin FROM pg_operator
        UNION ALL SELECT 'pg_constraint'::regclass, oid, xmin FROM pg_constraint
        UNION ALL SELECT 'pg_trigger'::regclass, oid, xmin FROM pg_trigger
        UNION ALL SELECT 'pg_policy'::regclass, oid, xmin FROM pg_policy
        UNION ALL SELECT 'pg_rewrite'::regclass, oid, xmin FROM pg_rewrite
        UNION ALL SELECT 'pg_statistic_ext'::regclass, oid, xmin FROM pg_statistic_ext
        UNION ALL SELECT classoid, objoid, xmin FROM pg_description
    )
    SELECT string_agg(DISTINCT pg_describe_object(o.class, o.oid, 0), ', ') INTO strays
    FROM unnest(ARRAY[$1]::oid[], ARRAY[$2]::oid[]) o(class, oid) JOIN rows r ON r.class = o.class AND r.oid = o.oid
    WHERE r.xmin = pg_current_xact_id()::xid;
    IF strays IS NOT NULL THEN
        RAISE EXCEPTION 'the copy would change the schema that it is a copy of: %', strays USING ERRCODE = '2BP01';
    END IF;
END $proof$
