-- Settings of sequences $1, and the columns that own them ('a') or are their identity ('i').
SELECT s.seqrelid AS oid, format_type(s.seqtypid, NULL) AS type, s.seqstart AS start, s.seqincrement AS increment,
    s.seqmin AS min, s.seqmax AS max, s.seqcache AS cache, s.seqcycle AS cycle,
    d.deptype::text AS how, d.refobjid AS table_oid, a.attname::text AS column
FROM pg_sequence s
    LEFT JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = s.seqrelid AND d.objsubid = 0
        AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0 AND d.deptype IN ('a', 'i')
    LEFT JOIN pg_attribute a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
WHERE s.seqrelid = ANY ($1)
