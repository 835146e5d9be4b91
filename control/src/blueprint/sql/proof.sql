DO $proof$
DECLARE
    strays text;
BEGIN
    SELECT pg_catalog.string_agg(pg_catalog.pg_describe_object(d.classid, d.objid, d.objsubid) || ' on '
            || pg_catalog.pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid), ', ')
        INTO strays
    FROM pg_catalog.unnest(ARRAY[$1]::pg_catalog.oid[], ARRAY[$2]::pg_catalog.oid[]) o(class, oid)
        JOIN pg_catalog.pg_depend d ON d.refclassid OPERATOR(pg_catalog.=) o.class
            AND d.refobjid OPERATOR(pg_catalog.=) o.oid
    WHERE d.xmin OPERATOR(pg_catalog.=) pg_catalog.pg_current_xact_id()::pg_catalog.xid;
    IF strays IS NOT NULL THEN
        RAISE EXCEPTION 'the copy would depend on the schema that it is a copy of: %', strays USING ERRCODE = '2BP01';
    END IF;
END $proof$
