-- Tables, views, sequences, composite types and foreign tables of schema $1.
SELECT c.oid, c.relname::text AS name, c.relkind::text AS kind, c.relpersistence::text AS persistence,
    c.relispartition AS is_partition, c.relreplident::text AS replica_identity,
    c.relrowsecurity AS row_security, c.relforcerowsecurity AS force_row_security,
    c.reloptions AS options, t.reloptions AS toast_options, c.relispopulated AS populated,
    -- A partitioned table has one of its own from 17 on: it is what its partitions get.
    CASE WHEN c.relkind = 'p' OR c.relkind IN ('r', 'm') AND a.amname <> 'heap' THEN a.amname::text END AS access_method,
    s.spcname::text AS tablespace, c.reloftype AS of_type, c.reltype AS row_type, c.relowner AS owner,
    f.srvname::text AS server, ft.ftoptions AS server_options
FROM pg_class c
    LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
    LEFT JOIN pg_am a ON a.oid = c.relam
    LEFT JOIN pg_tablespace s ON s.oid = c.reltablespace
    LEFT JOIN pg_foreign_table ft ON ft.ftrelid = c.oid
    LEFT JOIN pg_foreign_server f ON f.oid = ft.ftserver
WHERE c.relnamespace = $1 AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'c')
    AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e')
ORDER BY c.relname
