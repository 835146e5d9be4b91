//! No reading of the catalog locks what is another tenant's.

use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::stage::names;
use pgstrata_tests::{Setup, Stage};

const OBJECTS: &str = "
    CREATE VIEW SCHEMA.v AS SELECT * FROM SCHEMA.users;
    ALTER VIEW SCHEMA.v OWNER TO app;
    CREATE MATERIALIZED VIEW SCHEMA.m AS SELECT * FROM SCHEMA.users;
    CREATE TABLE SCHEMA.t (a int) PARTITION BY RANGE (a);
    CREATE TABLE SCHEMA.t1 PARTITION OF SCHEMA.t FOR VALUES FROM (1) TO (9);
    CREATE RULE r AS ON DELETE TO SCHEMA.t1 DO ALSO DELETE FROM SCHEMA.users;
    CREATE RULE q AS ON UPDATE TO SCHEMA.t1 WHERE EXISTS (SELECT 1 FROM SCHEMA.users) DO INSTEAD NOTHING;
    CREATE FUNCTION SCHEMA.f() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM SCHEMA.users; END;
    CREATE POLICY p ON SCHEMA.t1 USING (EXISTS (SELECT 1 FROM SCHEMA.users));
    GRANT ALL ON ALL TABLES IN SCHEMA SCHEMA TO app;";

const READS: &[(&str, &str)] = &[
    ("SELECT count(definition)::text FROM pg_views WHERE viewname = 'v'", "1"),
    (
        "SELECT count(*)::text FROM pg_catalog.pg_views WHERE definition LIKE '%users%' AND viewname = 'v'",
        "1",
    ),
    ("SELECT count(definition)::text FROM pg_matviews", "1"),
    ("SELECT count(definition)::text FROM pg_rules WHERE rulename = 'r'", "1"),
    ("SELECT count(qual)::text FROM pg_policies", "1"),
    ("SELECT count(pg_get_expr(polqual, polrelid))::text FROM pg_policy", "1"),
    (
        "SELECT count(*)::text FROM pg_catalog.pg_policy p WHERE pg_get_expr(p.polqual, p.polrelid) LIKE '%users%'",
        "1",
    ),
    ("SELECT count(pg_get_expr(ev_qual, ev_class))::text FROM pg_rewrite WHERE rulename = 'q'", "1"),
    ("SELECT count(tableoid)::text FROM pg_policy WHERE pg_get_expr(polqual, polrelid) LIKE '%users%'", "1"),
    (
        "SELECT count(*)::text FROM pg_class c JOIN pg_rewrite r ON r.ev_class = c.oid AND r.rulename = 'q' \
         WHERE pg_get_expr(r.ev_qual, c.oid) LIKE '%users%'",
        "1",
    ),
    ("SELECT count(view_definition)::text FROM information_schema.views WHERE table_name = 'v'", "1"),
    ("SELECT count(pg_get_viewdef(oid))::text FROM pg_class WHERE relname = 'v'", "1"),
    ("SELECT count(pg_catalog.pg_get_viewdef(c.oid, true))::text FROM pg_class c WHERE relname = 'v'", "1"),
    ("SELECT count(pg_get_viewdef(concat('glo', 'bex.v')))::text", "0"),
    ("SELECT count(pg_get_viewdef('v'))::text", "1"),
    ("SELECT count(pg_get_viewdef(oid::regclass))::text FROM pg_class WHERE relname = 'v'", "1"),
    ("SELECT count(pg_get_ruledef(oid, true))::text FROM pg_rewrite WHERE rulename = 'r'", "1"),
    ("SELECT count(pg_get_functiondef(p.oid))::text FROM pg_proc p WHERE proname = 'f'", "1"),
    ("SELECT count(pg_get_function_sqlbody(oid))::text FROM pg_proc WHERE proname = 'f'", "1"),
    ("SELECT count(p.relid)::text FROM pg_class c, pg_partition_tree(c.oid) p WHERE relname = 't'", "2"),
    ("SELECT count(*)::text FROM pg_partition_tree('t')", "2"),
];

#[tokio::test]
async fn definitions_lock_nothing_of_another_tenants() {
    for strategy in STRATEGIES {
        for hide in [false, true] {
            let setup = Setup::new().strategy(strategy);
            let stage = Stage::new(setup.line("tenancy", format!("hide_other_tenants = {hide}"))).await;
            let server = stage.superuser().await;
            for schema in ["acme_corp", "globex"] {
                let objects = OBJECTS.replace("SCHEMA SCHEMA", &format!("SCHEMA {schema}"));
                server.batch_execute(&objects.replace("SCHEMA.", &format!("{schema}."))).await.unwrap();
            }
            let mut wire = stage.wire("acme_corp").await;
            for (text, wanted) in READS {
                for extended in [false, true] {
                    wire.simple("BEGIN").await;
                    let answer = match extended {
                        true => wire.extended(text, &[]).await,
                        false => wire.simple(text).await,
                    };
                    assert!(answer.fault().is_none(), "{strategy} {hide} {text}: {answer:?}");
                    assert_eq!(answer.value(), *wanted, "{strategy} {hide} {text}");
                    let held = "SELECT relation::regclass::text || ' ' || mode FROM pg_locks l \
                                JOIN pg_class c ON c.oid = l.relation WHERE relnamespace = 'globex'::regnamespace";
                    let held = names(&server, held).await;
                    assert!(held.is_empty(), "{strategy} {hide} {text}: {held:?}");
                    wire.simple("ROLLBACK").await;
                }
            }
            for text in [
                "TABLE pg_views",
                "TABLE pg_policy",
                "TABLE pg_rewrite",
                "CREATE VIEW w AS SELECT * FROM pg_rules",
                "COPY pg_matviews TO STDOUT",
            ] {
                assert_eq!(wire.simple(text).await.code(), "42501", "{text}");
            }
        }
    }
}
