-- What those who create something in schema $1 give others.
SELECT pg_get_userbyid(d.defaclrole)::text AS role, e.privilege_type AS privilege, e.is_grantable AS grantable,
    CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES' END AS kind,
    CASE e.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(e.grantee)) END AS grantee
FROM pg_default_acl d, LATERAL aclexplode(d.defaclacl) e
WHERE d.defaclnamespace = $1
ORDER BY 1, 4, 5, 2
