-- Trigger functions run for whoever fires them: nobody has to be able to call one, least of all one that runs as its
-- owner. `record` stays open: it runs as its caller, who can do with it what the tables allow.
REVOKE EXECUTE ON FUNCTION
    pgstrata_control.announce(), pgstrata_control.refuse_second_schema(), pgstrata_control.refuse_second_place()
FROM PUBLIC;

-- Roles that were let in to the tenants' states can do with the placements what they can do with those.
DO $$
DECLARE
    given record;
BEGIN
    FOR given IN
        SELECT a.privilege_type AS privilege, CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE
            pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) END AS role
        FROM pg_catalog.pg_class c, pg_catalog.aclexplode(c.relacl) a
        WHERE c.oid = 'pgstrata_control.schemas'::pg_catalog.regclass
            AND a.grantee <> c.relowner AND a.privilege_type IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
    LOOP
        EXECUTE pg_catalog.format('GRANT %s ON pgstrata_control.placements TO %s', given.privilege, given.role);
        IF given.privilege = 'INSERT' THEN
            EXECUTE pg_catalog.format('GRANT USAGE ON SEQUENCE pgstrata_control.generations TO %s', given.role);
        END IF;
    END LOOP;
END $$
