//! Two tenants on two clusters: neither reads, changes or blocks what is the other's, nor where it lives.

use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::spread::{Spread, place, superuser};
use pgstrata_tests::stage::{names, tenant_option};
use pgstrata_tests::{ACME, GLOBEX, Setup, Wire};

const NAMES: &str = "SELECT name FROM users ORDER BY id";

/// What a tenant sends to get at another one, whose name stands for `{other}`.
const ATTACKS: &[&str] = &[
    "SELECT name FROM {other}.users",
    "SELECT name FROM users UNION SELECT name FROM \"{other}\".users",
    "WITH w AS (DELETE FROM {other}.users RETURNING name) SELECT name FROM w",
    "INSERT INTO {other}.users (name, email) VALUES ('evil', 'evil')",
    "UPDATE {other}.users SET name = 'evil'",
    "DELETE FROM {other}.posts",
    "TRUNCATE {other}.users CASCADE",
    "LOCK TABLE {other}.users IN ACCESS EXCLUSIVE MODE",
    "COPY {other}.users TO STDOUT",
    "CREATE VIEW v AS SELECT name FROM {other}.users",
    "CREATE TABLE t (LIKE {other}.users)",
    "CREATE TABLE t () INHERITS ({other}.users)",
    "CREATE FUNCTION f() RETURNS SETOF text LANGUAGE sql AS 'SELECT name FROM {other}.users'",
    "CREATE TABLE {other}.mine (a int)",
    "ALTER TABLE users SET SCHEMA {other}",
    "ALTER SCHEMA {other} RENAME TO mine",
    "DROP SCHEMA {other} CASCADE",
    "CREATE SCHEMA {other}",
    "SET search_path TO {other}",
    "SET LOCAL search_path = '{other}'",
    "SELECT set_config('search_path', '{other}', false)",
    "SELECT nextval('{other}.users_id_seq')",
    "SELECT setval('{other}.users_id_seq', 500)",
    "SELECT '{other}.users'::regclass::oid",
    "SELECT query_to_xml('SELECT name FROM {other}.users', true, true, '')",
    "SELECT schema_to_xml('{other}', true, true, '')",
    "DO 'BEGIN DELETE FROM {other}.users; END'",
    "SELECT lo_import('/etc/passwd')",
    // Where tenants live is nobody's to read or to change.
    "SELECT cluster FROM pgstrata_control.placements",
    "INSERT INTO pgstrata_control.placements (schema, cluster, database) VALUES ('{other}', 'a', 'app')",
    "UPDATE pgstrata_control.placements SET cluster = 'a' WHERE schema = '{other}'",
    "DELETE FROM pgstrata_control.placements",
    "UPDATE pgstrata_control.schemas SET state = 'dropping'",
    "SELECT nextval('pgstrata_control.generations')",
    "SELECT pgstrata_control.refuse_second_place()",
    "DROP SCHEMA pgstrata_control CASCADE",
    // As the first words of a text that begins with what is allowed.
    "SELECT 1; SELECT name FROM {other}.users",
    "BEGIN; SET LOCAL tenant = '{other}'; DELETE FROM users; COMMIT",
];

/// All that must be as it was, past the proxy.
async fn standing(spread: &Spread) -> Vec<Vec<String>> {
    let (a, b) = (superuser(&spread.a).await, superuser(&spread.b).await);
    let placements = "SELECT p::text FROM pgstrata_control.placements p ORDER BY schema";
    let users = |schema: &str| format!("SELECT u::text FROM {schema}.users u ORDER BY id");
    let schemas = "SELECT nspname::text FROM pg_namespace WHERE nspname !~ '^pg_' ORDER BY 1";
    let tables = "SELECT relname::text || relnamespace::regnamespace FROM pg_class
                  WHERE relnamespace::regnamespace::text IN ('acme_corp', 'globex', 'public') ORDER BY 1";
    let mut all = vec![names(&a, placements).await];
    for (server, schema) in [(&a, "acme_corp"), (&b, "acme_corp"), (&b, "globex")] {
        all.push(names(server, &users(schema)).await);
        all.push(names(server, schemas).await);
        all.push(names(server, tables).await);
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_of_two_clusters_do_not_reach_each_other() {
    for strategy in STRATEGIES {
        let spread = Spread::new(Setup::new().strategy(strategy).servers(1)).await;
        let before = standing(&spread).await;
        // On cluster b a schema has the name of the tenant that lives on a: it is as little anybody's.
        for (tenant, own, other, theirs) in
            [("acme_corp", &ACME[..], "globex", &GLOBEX[..]), ("globex", &GLOBEX, "acme_corp", &ACME)]
        {
            for attack in ATTACKS {
                let text = attack.replace("{other}", other);
                let mut wire = spread.wire(tenant).await;
                assert_ne!(wire.simple(&text).await.code(), "", "{tenant}: {text}");
                if !text.contains("; ") {
                    assert_ne!(wire.extended(&text, &[]).await.code(), "", "{tenant}: {text}");
                }
                drop(wire);
                assert_eq!(spread.wire(other).await.simple(NAMES).await.column(), theirs, "{text}");
            }
            assert_eq!(spread.wire(tenant).await.simple(NAMES).await.column(), own);
        }
        assert_eq!(standing(&spread).await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn user_of_one_tenant_learns_nothing_of_others_on_another_cluster() {
    let spread = Spread::new(Setup::new()).await;
    place(&superuser(&spread.a).await, "initech", "nowhere").await;
    let login = async |tenant: &str| {
        Wire::login(spread.process.port, "acme", "acme", &[("options", &tenant_option(tenant))]).await
    };
    let mut wire = login("acme_corp").await.unwrap();
    // One on another cluster, one that is placed on none, and one that is not there.
    for other in ["globex", "initech", "hooli"] {
        let refused = login(other).await.map(drop).unwrap_err();
        assert_eq!(refused.code, "28000", "{refused:?}");
        for text in [format!("SET tenant = '{other}'"), format!("/*tenant='{other}'*/ {NAMES}")] {
            let refused = wire.simple(&text).await.fault().unwrap();
            assert_eq!(refused.code, "42501", "{refused:?}");
            let words = refused.message.replace(other, "…");
            assert!(
                words.starts_with("tenant \"…\" does not exist or user \"acme\" may not use it"),
                "{words}"
            );
        }
    }
    assert_eq!(wire.simple(NAMES).await.column(), ACME);
}

#[tokio::test(flavor = "multi_thread")]
async fn tenant_of_one_cluster_does_not_block_one_of_the_other() {
    let spread = Spread::new(Setup::new().servers(1)).await;
    let mut wire = spread.wire("acme_corp").await;
    let locks = "BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE; SELECT pg_advisory_xact_lock(1)";
    assert_eq!(wire.simple(locks).await.code(), "");
    // It has all servers of its cluster, and all locks that it could wish for.
    let mut other = spread.wire("globex").await;
    assert_eq!(other.simple("SELECT pg_try_advisory_xact_lock(1)::text").await.value(), "true");
    assert_eq!(other.simple("LOCK TABLE users IN ACCESS EXCLUSIVE MODE NOWAIT; SELECT 1").await.code(), "");
    assert_eq!(other.simple(NAMES).await.column(), GLOBEX);
    assert_eq!(wire.simple("COMMIT").await.commands(), ["COMMIT"]);
}
