//! What a source can have about it that a copy must not have, or must not run.

use pgstrata_control::provision::Ensured;
use pgstrata_control::{Error, Settings};
use pgstrata_tests::dump::assert_alike;
use pgstrata_tests::ground::{DATABASE, ensure};
use pgstrata_tests::{Ground, stage};

async fn refused(ground: &Ground, source: &str) -> Error {
    let before = ground.inventory().await;
    let error = ground.provision(source, "acme").await.expect_err("it is refused");
    let after = ground.inventory().await;
    let made: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    assert!(made.iter().all(|line| line.contains("pgstrata_control")), "nothing is half made: {made:#?}");
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_database_grants_by_default_is_not_granted() {
    let ground = Ground::with_everything("template").await;
    ground
        .run(
            "ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC;
             ALTER DEFAULT PRIVILEGES GRANT USAGE ON SEQUENCES TO eq_other WITH GRANT OPTION;
             ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO eq_reader;
             ALTER DEFAULT PRIVILEGES REVOKE ALL ON FUNCTIONS FROM PUBLIC;
             ALTER DEFAULT PRIVILEGES REVOKE ALL ON TYPES FROM PUBLIC, postgres;
             ALTER DEFAULT PRIVILEGES FOR ROLE eq_owner GRANT ALL ON TABLES TO PUBLIC",
        )
        .await;
    assert_eq!(ground.provision("template", "acme").await.unwrap(), Ensured::Created);
    assert_alike(&ground.cluster, DATABASE, "template", "acme", &[]).await;
}

/// Functions, operators and types that have the names of PostgreSQL's own, for just the arguments that are at hand.
const HOSTILE: &str = "
    CREATE FUNCTION caught() RETURNS text LANGUAGE plpgsql VOLATILE AS $$ BEGIN RAISE EXCEPTION 'caught'; END $$;
    CREATE FUNCTION caught_yes() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$ BEGIN RAISE EXCEPTION 'caught'; END $$;
    DO $do$
    DECLARE f record;
    BEGIN
        FOR f IN SELECT 'caught' || o.oid AS called, o.oprname, o.oprleft::regtype AS l, o.oprright::regtype AS r FROM pg_operator o
            WHERE o.oprresult = 'bool'::regtype AND o.oprname IN ('=', '<>', '<', '>', '~', '~~', '!~')
                AND o.oprleft IN ('oid'::regtype, 'name'::regtype, 'text'::regtype, '\"char\"'::regtype, 'int4'::regtype, 'int2'::regtype, 'bool'::regtype)
        LOOP
            EXECUTE format('CREATE FUNCTION %s(%s, %s) RETURNS boolean LANGUAGE sql VOLATILE RETURN caught_yes()', f.called, f.l, f.r);
            EXECUTE format('CREATE OPERATOR %3$s (LEFTARG = %1$s, RIGHTARG = %2$s, FUNCTION = %4$s)', f.l, f.r, f.oprname, f.called);
        END LOOP;
        FOR f IN SELECT p.proname, pg_get_function_identity_arguments(p.oid) AS arguments FROM pg_proc p
            WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prorettype = 'text'::regtype AND p.prokind = 'f' AND p.provariadic = 0 AND pg_get_function_identity_arguments(p.oid) !~ 'any'
                AND (p.proname ~ '^pg_get_' OR p.proname IN ('format', 'quote_ident', 'quote_literal', 'format_type', 'concat', 'concat_ws'))
        LOOP
            EXECUTE format('CREATE FUNCTION %I(%s) RETURNS text LANGUAGE sql VOLATILE RETURN caught()', f.proname, f.arguments);
        END LOOP;
        FOR f IN SELECT unnest('{pg_function_is_visible,pg_operator_is_visible,pg_opclass_is_visible,pg_table_is_visible,pg_type_is_visible}'::text[]) AS name
        LOOP
            EXECUTE format('CREATE FUNCTION %I(oid) RETURNS boolean LANGUAGE sql VOLATILE RETURN caught_yes()', f.name);
        END LOOP;
    END $do$;
    CREATE FUNCTION set_config(text, text, boolean) RETURNS text LANGUAGE sql VOLATILE RETURN caught();
    CREATE FUNCTION setval(regclass, bigint, boolean) RETURNS text LANGUAGE sql VOLATILE RETURN caught();
    CREATE FUNCTION pg_advisory_xact_lock(bigint) RETURNS text LANGUAGE sql VOLATILE RETURN caught();
    CREATE FUNCTION pg_describe_object(oid, oid, integer) RETURNS text LANGUAGE sql VOLATILE RETURN caught();
    CREATE FUNCTION unnest(oid[]) RETURNS text LANGUAGE sql VOLATILE RETURN caught();
    CREATE DOMAIN regclass AS text CHECK (caught_yes());
    CREATE DOMAIN regtype AS text CHECK (caught_yes());
    CREATE DOMAIN oid AS text CHECK (caught_yes());
    CREATE DOMAIN name AS pg_catalog.text CHECK (caught_yes());
    CREATE TABLE pg_depend (classid integer, objid integer, refclassid integer, refobjid integer);
    CREATE TABLE pg_class (oid integer, relname text);
    CREATE TABLE pg_proc (oid integer, proname text);
    CREATE TABLE own (id serial PRIMARY KEY, a pg_catalog.oid, b pg_catalog.text DEFAULT 'x', CHECK (b OPERATOR(pg_catalog.<>) ''));
    CREATE VIEW all_of_it AS SELECT a, b FROM own WHERE a OPERATOR(pg_catalog.=) 5::pg_catalog.oid;
    CREATE MATERIALIZED VIEW kept AS SELECT a, b FROM own;";

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_the_source_has_is_run() {
    let ground = Ground::with("template", HOSTILE).await;
    let control = ground.control_of("template");
    match ensure(&control, "acme").await {
        Ok(ensured) => assert_eq!(ensured, Ensured::Created),
        Err(error) => panic!("{error}"),
    }
    assert_alike(&ground.cluster, DATABASE, "template", "acme", &[]).await;
}
