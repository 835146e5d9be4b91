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
    -- Nothing of the schema was meant where a name was not found in the copy, either. By their indexes: there may be
    -- thousands of tenants in these catalogs.
    WITH o AS MATERIALIZED (
        SELECT * FROM unnest(ARRAY[$1]::oid[], ARRAY[$2]::oid[]) o(class, oid)
    ), rows AS (
        SELECT o.*, c.xmin FROM o JOIN pg_class c ON c.oid = o.oid WHERE o.class = 'pg_class'::regclass
        UNION ALL SELECT o.*, a.xmin FROM o JOIN pg_attribute a ON a.attrelid = o.oid WHERE o.class = 'pg_class'::regclass
        UNION ALL SELECT o.*, t.xmin FROM o JOIN pg_type t ON t.oid = o.oid WHERE o.class = 'pg_type'::regclass
        UNION ALL SELECT o.*, p.xmin FROM o JOIN pg_proc p ON p.oid = o.oid WHERE o.class = 'pg_proc'::regclass
        UNION ALL SELECT o.*, p.xmin FROM o JOIN pg_operator p ON p.oid = o.oid WHERE o.class = 'pg_operator'::regclass
        UNION ALL SELECT o.*, c.xmin FROM o JOIN pg_constraint c ON c.oid = o.oid WHERE o.class = 'pg_constraint'::regclass
        UNION ALL SELECT o.*, t.xmin FROM o JOIN pg_trigger t ON t.oid = o.oid WHERE o.class = 'pg_trigger'::regclass
        UNION ALL SELECT o.*, p.xmin FROM o JOIN pg_policy p ON p.oid = o.oid WHERE o.class = 'pg_policy'::regclass
        UNION ALL SELECT o.*, r.xmin FROM o JOIN pg_rewrite r ON r.oid = o.oid WHERE o.class = 'pg_rewrite'::regclass
        UNION ALL SELECT o.*, s.xmin FROM o JOIN pg_statistic_ext s ON s.oid = o.oid WHERE o.class = 'pg_statistic_ext'::regclass
        UNION ALL SELECT o.*, d.xmin FROM o JOIN pg_description d ON d.classoid = o.class AND d.objoid = o.oid
    )
    SELECT string_agg(DISTINCT pg_describe_object(class, oid, 0), ', ') INTO strays
    FROM rows WHERE xmin = pg_current_xact_id()::xid;
    IF strays IS NOT NULL THEN
        RAISE EXCEPTION 'the copy would change the schema that it is a copy of: %', strays USING ERRCODE = '2BP01';
    END IF;
END $proof$
