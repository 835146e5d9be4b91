-- What there is in a database, and what is said of it.
SELECT pg_describe_object(d.classid, d.objid, d.objsubid) || ' ' || d.deptype::text || ' ' || pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid)
FROM pg_depend d WHERE d.objid >= 16384
UNION ALL SELECT 'schema ' || nspname || ' ' || coalesce(nspacl::text, '') FROM pg_namespace
UNION ALL SELECT 'role ' || rolname FROM pg_roles
UNION ALL SELECT 'setting ' || setrole || ' ' || setdatabase || ' ' || setconfig::text FROM pg_db_role_setting
UNION ALL SELECT 'operator ' || oid::regoperator || ' ' || oprcom::regoperator || ' ' || oprnegate::regoperator FROM pg_operator WHERE oid >= 16384
UNION ALL SELECT 'class ' || oid::regclass || ' ' || coalesce(relacl::text, '') || coalesce(reloptions::text, '') FROM pg_class WHERE oid >= 16384
ORDER BY 1
