//! Attacks with one text, by class: the rows of docs/isolation.md. `{own}` and `{other}` are the schemas, `{o1}` and
//! `{o2}` the two halves of the latter.

/// A class of attacks.
pub struct Class {
    /// The name of the class.
    pub name: &'static str,
    /// The texts, each tried separately on a connection of the first tenant. All must be refused.
    pub texts: &'static [&'static str],
}

/// All classes except logins and leftovers, which are no texts.
pub const CLASSES: &[Class] = &[
    Class {
        name: "another schema by name",
        texts: &[
            "SELECT * FROM {other}.secrets",
            "SELECT * FROM \"{other}\".secrets",
            "SELECT * FROM {other}/* x */./**/secrets",
            "SELECT * FROM {other} -- x\n . secrets",
            "SELECT value FROM (SELECT * FROM {other}.secrets) {other}",
            "SELECT {other}.value FROM secrets {own}, {other}.secrets {other}",
            "WITH x AS (SELECT * FROM {other}.secrets) SELECT * FROM x",
            "WITH x AS (DELETE FROM {other}.secrets RETURNING *) SELECT * FROM x",
            "TABLE {other}.secrets",
            "EXPLAIN ANALYZE SELECT * FROM {other}.secrets",
            "PREPARE p AS SELECT * FROM {other}.secrets",
            "DECLARE c CURSOR WITH HOLD FOR SELECT * FROM {other}.secrets",
            "COPY {other}.secrets TO STDOUT",
            "COPY (SELECT * FROM {other}.secrets) TO STDOUT",
            "CREATE VIEW {own}.spy AS SELECT * FROM {other}.secrets",
            "CREATE TABLE {own}.spy (LIKE {other}.secrets INCLUDING ALL)",
            "CREATE TABLE {own}.spy () INHERITS ({other}.secrets)",
            "INSERT INTO {other}.secrets (value) VALUES ('planted')",
            "UPDATE {other}.secrets SET value = 'changed'",
            "DELETE FROM {other}.secrets",
            "TRUNCATE {other}.secrets",
            "DROP TABLE {other}.secrets",
            "ALTER TABLE {other}.secrets ADD COLUMN planted integer",
            "LOCK TABLE {other}.secrets",
            "COMMENT ON TABLE {other}.secrets IS 'planted'",
            "GRANT ALL ON {other}.secrets TO PUBLIC",
            "SELECT 1; SELECT * FROM {other}.secrets",
            "MERGE INTO {other}.secrets USING secrets s ON true WHEN MATCHED THEN DELETE",
        ],
    },
    Class {
        name: "texts that PostgreSQL reads in another way",
        texts: &[
            "CREATE FUNCTION {own}.f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1 case; END; SELECT value FROM {other}.secrets",
            "CREATE FUNCTION {own}.f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1 end; END; DROP TABLE {other}.secrets",
            "CREATE FUNCTION {own}.f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1 begin; END; DO $$ BEGIN NULL; END $$",
            "CREATE TYPE {own}.trigger AS RANGE (subtype = int4, multirange_type_name = {other}.x)",
            "CREATE TYPE {own}.view AS ENUM ('a'); ALTER TYPE {own}.view SET SCHEMA {other}",
            "EXPLAIN ANALYZE CREATE TABLE public.pgstrata_selftest AS SELECT 1",
            "EXPLAIN (ANALYZE) CREATE TABLE {other}.x AS SELECT 1",
            "SELECT 1 FROM secrets s, LATERAL (TABLE {other}.secrets) x",
            "SELECT U&\"!0061\" UESCAPE '!' FROM {other}.secrets",
            "SELECT value FROM ONLY ({other}.secrets)",
            "SELECT E'\\'' , value FROM {other}.secrets --'",
        ],
    },
    Class {
        name: "names in strings",
        texts: &[
            "SELECT '{other}.secrets'::regclass",
            "SELECT to_regclass('{other}.secrets')",
            "SELECT nextval('{other}.secrets_id_seq')",
            "SELECT setval('{other}.secrets_id_seq', 1000)",
            "SELECT nextval('{o1}' || '{o2}.secrets_id_seq')",
            "SELECT nextval(cast('{o1}' as text) || '{o2}.secrets_id_seq')",
            "SELECT nextval(('{o1}' || '{o2}.secrets_id_seq')::regclass)",
            "SELECT setval(concat('{o1}', '{o2}.secrets_id_seq'), 1)",
            "SELECT nextval((SELECT oid FROM pg_class WHERE relname = 'secrets_id_seq' AND relnamespace = '{other}'::regnamespace)::regclass)",
            "SELECT has_table_privilege('{other}.secrets', 'select')",
        ],
    },
    Class {
        name: "search_path",
        texts: &[
            "SET search_path TO {other}",
            "SET search_path TO {other}; SELECT * FROM secrets",
            "SET LOCAL search_path TO {other}",
            "SET SCHEMA '{other}'",
            "BEGIN; SET LOCAL search_path = '{other}'; SELECT * FROM secrets; COMMIT",
            "SELECT set_config('search_path', '{other}', false)",
            "SELECT set_config('search' || '_path', '{other}', false)",
            "SELECT value FROM secrets WHERE set_config('search_path', '{other}', true) IS NOT NULL",
            "UPDATE pg_settings SET setting = '{other}' WHERE name = 'search_path'",
            "SET standard_conforming_strings = off",
            "SET client_encoding = 'SJIS'",
        ],
    },
    Class {
        name: "roles",
        texts: &[
            "SET ROLE postgres",
            "RESET ROLE; SELECT value FROM {other}.secrets",
            "SET SESSION AUTHORIZATION postgres",
            "SELECT set_config('role', 'postgres', false)",
            "ALTER ROLE CURRENT_USER SET search_path = {other}",
            "ALTER DATABASE postgres SET search_path = {other}",
            "DROP OWNED BY CURRENT_USER",
        ],
    },
    Class {
        name: "dynamic SQL",
        texts: &[
            "DO $$ BEGIN DELETE FROM {other}.secrets; END $$",
            "DO $$ BEGIN EXECUTE 'DELETE FROM {other}.secrets'; END $$",
            "SELECT query_to_xml('SELECT * FROM {other}.secrets', true, true, '')",
            "SELECT table_to_xml('{other}.secrets', true, true, '')",
            "SELECT schema_to_xml('{other}', true, true, '')",
            "SELECT * FROM ts_stat('SELECT to_tsvector(value) FROM {other}.secrets')",
            "CREATE FUNCTION {own}.spy() RETURNS text LANGUAGE sql AS 'SELECT value FROM {other}.secrets'",
            "CREATE FUNCTION {own}.spy() RETURNS text LANGUAGE sql SET search_path = {other} RETURN (SELECT 'x')",
            "CREATE FUNCTION {own}.spy() RETURNS text LANGUAGE sql RETURN (SELECT value FROM {other}.secrets)",
        ],
    },
    Class {
        name: "moving and owning",
        texts: &[
            "ALTER TABLE secrets SET SCHEMA {other}",
            "ALTER TABLE {other}.secrets SET SCHEMA {own}",
            "DROP SCHEMA {other} CASCADE",
            "ALTER SCHEMA {other} RENAME TO {own}_x",
            "CREATE SCHEMA {own}_x",
            "REASSIGN OWNED BY CURRENT_USER TO CURRENT_USER",
            "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC",
        ],
    },
    Class {
        name: "relations that show others' values",
        texts: &[
            "TABLE pg_stats",
            "SELECT * FROM pg_catalog.pg_statistic",
            "SELECT * FROM pg_stat_activity",
            "TABLE pg_locks",
            "COPY pg_sequences TO STDOUT",
            "SELECT * FROM pg_prepared_statements",
            "SELECT (SELECT count(*) FROM users, pg_prepared_xacts)",
            "SELECT * FROM pg_largeobject",
        ],
    },
    Class {
        name: "functions with effects on other tenants",
        texts: &[
            "SELECT pg_terminate_backend(pg_backend_pid())",
            "SELECT pg_cancel_backend(pg_backend_pid())",
            "SELECT pg_read_file('PG_VERSION')",
            "SELECT pg_ls_dir('.')",
            "SELECT lo_create(0)",
            "CREATE AGGREGATE {own}.spy(text, bool) (sfunc = set_config, stype = text, initcond = 'search_path')",
            "CREATE AGGREGATE {own}.spy(text, bool) (sfunc = 'set_config', stype = text, initcond = 'search_path')",
            "CREATE OPERATOR {own}.### (function = pg_terminate_backend, leftarg = int4, rightarg = int8)",
        ],
    },
    Class {
        name: "switching to another tenant",
        texts: &[
            "SET tenant = '{other}'",
            "SET LOCAL tenant = '{other}'",
            "SET tenant = '{other}'; SELECT * FROM secrets",
            "SELECT 1; SET tenant = '{other}'; SELECT * FROM secrets",
            "/* tenant='{other}' */ SELECT * FROM secrets",
        ],
    },
    Class {
        name: "files, programs, maintenance",
        texts: &[
            "COPY secrets TO '/tmp/pgstrata_selftest'",
            "COPY secrets FROM PROGRAM 'true'",
            "VACUUM",
            "ANALYZE",
            "CREATE EXTENSION dblink",
            "SELECT * FROM pg_temp_3.secrets",
        ],
    },
];

/// The class of writes to shared schemas, while `shared_writes` is false.
pub const SHARED: &str = "writing to shared schemas";

/// `{shared}` is an existing table in a shared schema, `{bare}` its name without the schema. No text would change a row
/// if it were allowed.
pub const SHARED_TABLES: Class = Class {
    name: SHARED,
    texts: &[
        "DELETE FROM {shared} WHERE false",
        "INSERT INTO {shared} SELECT * FROM {shared} WHERE false",
        "MERGE INTO {bare} USING secrets s ON false WHEN MATCHED THEN DELETE",
        "WITH x AS (DELETE FROM {bare} WHERE false RETURNING 1) SELECT * FROM x",
        "EXPLAIN ANALYZE DELETE FROM {bare} WHERE false",
        "SELECT 1 FROM {shared} WHERE false FOR UPDATE",
        "SELECT 1 FROM (SELECT 1 FROM {bare} WHERE false FOR SHARE) x",
        "LOCK TABLE {bare} IN ROW EXCLUSIVE MODE",
        "BEGIN; ALTER TABLE {shared} RENAME TO pgstrata_selftest; ROLLBACK",
        "CREATE VIEW {own}.v AS SELECT * FROM {shared}; DELETE FROM v WHERE false",
        "CREATE TEMP VIEW v AS SELECT * FROM {shared}; DELETE FROM v WHERE false",
        "CREATE VIEW {own}.v AS SELECT * FROM {shared}; CREATE VIEW {own}.w AS SELECT * FROM v; DELETE FROM w WHERE false",
        "CREATE TABLE {own}.{bare} (); DROP TABLE {own}.{bare}; DELETE FROM {bare} WHERE false",
        "CREATE TABLE {own}.{bare} (); ALTER TABLE {bare} RENAME TO v; DELETE FROM {bare} WHERE false",
        "CREATE RULE r AS ON DELETE TO notes DO INSTEAD DELETE FROM {shared} WHERE false; DELETE FROM notes",
    ],
};

/// Texts that a user with `dynamic_sql` may send, and PostgreSQL itself must refuse, in the tiers with a role for each
/// tenant. In the tier `role` code can run `RESET ROLE`, as docs/isolation.md says: that is not tried.
pub const DYNAMIC: Class = Class {
    name: "refusals of PostgreSQL itself",
    texts: &[
        "DO $$ DECLARE v text; BEGIN SELECT value INTO v FROM {other}.secrets; RAISE EXCEPTION 'read %', v; END $$",
        "DO $$ BEGIN EXECUTE 'INSERT INTO {own}.notes (value) SELECT value FROM {other}.secrets'; END $$",
        "DO $$ BEGIN EXECUTE 'DELETE FROM {other}.secrets'; END $$",
        "DO $$ BEGIN UPDATE {other}.secrets SET value = 'changed'; END $$",
        "DO $$ BEGIN TRUNCATE {other}.secrets; END $$",
        "DO $$ BEGIN DROP TABLE {other}.secrets; END $$",
        "DO $$ BEGIN LOCK TABLE {other}.secrets; END $$",
        "DO $$ BEGIN CREATE TABLE {other}.planted (a int); END $$",
        "DO $$ BEGIN CREATE VIEW {own}.spy AS SELECT * FROM {other}.secrets; END $$",
        "DO $$ BEGIN PERFORM nextval('{other}.secrets_id_seq'); END $$",
        "DO $$ BEGIN SET LOCAL search_path = {other}; DELETE FROM secrets; END $$",
        "DO $$ BEGIN EXECUTE 'GRANT ALL ON {other}.secrets TO PUBLIC'; END $$",
        "SELECT query_to_xml('SELECT * FROM {other}.secrets', true, true, '')",
        "SELECT schema_to_xml('{o1}' || '{o2}', true, true, '')::text || 1 / (SELECT 0)",
        "SELECT * FROM ts_stat('SELECT to_tsvector(value) FROM {other}.secrets')",
    ],
};
