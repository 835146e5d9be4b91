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
END $proof$
