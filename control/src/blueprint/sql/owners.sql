-- Of roles $1 the names, and whether they may create something in a copy of schema $2: as its owner (not so that of
-- public), or as it was granted to them. It is granted to the copy first.
SELECT r.oid, quote_ident(r.rolname), r.oid = n.nspowner AND n.nspname <> 'public'
    OR EXISTS (SELECT FROM aclexplode(n.nspacl) a WHERE a.grantee = r.oid AND a.privilege_type = 'CREATE')
FROM pg_roles r, pg_namespace n
WHERE r.oid = ANY ($1) AND n.oid = $2
