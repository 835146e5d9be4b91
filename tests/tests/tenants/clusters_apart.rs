//! One database on two clusters, of which one is away, moves, or is nobody's to change.

use std::time::Duration;

use pgstrata_control::{Control, SchemaName, Settings};
use pgstrata_tests::spread::{Spread, superuser};
use pgstrata_tests::stage::{eventually, http, names};
use pgstrata_tests::tenants::Tenants;
use pgstrata_tests::{ACME, GLOBEX, Setup, Wire, database};
use tokio::time::timeout;
use tokio_postgres::NoTls;

use super::clusters::{go, two_schemas};

const NAMES: &str = "SELECT name FROM users ORDER BY id";
const PORT: &str = "SELECT current_setting('port')";
const INSERT: &str = "INSERT INTO users (name, email) VALUES ('kept', clock_timestamp()::text)";

fn setup() -> Setup {
    Setup::new().tenant_switch()
}

async fn metrics(spread: &Spread) -> String {
    http(spread.process.http_port, "/metrics").await
}

/// The last words to a client that has said nothing.
async fn last_words(wire: &mut Wire) -> String {
    let end = timeout(Duration::from_secs(20), wire.until(b'E')).await.expect("it is told");
    let fault = end.faults().pop().unwrap();
    assert_eq!((fault.severity.as_str(), fault.code.as_str()), ("FATAL", "57P01"), "{fault:?}");
    fault.message
}

#[tokio::test(flavor = "multi_thread")]
async fn reload_that_moves_a_cluster_ends_no_transaction_and_refuses_nobody_who_waits() {
    let spread = Spread::new(setup().servers(1)).await;
    let c = database::cluster().await;
    let mut open = spread.wire("globex").await;
    assert_eq!(open.simple("BEGIN").await.status(), Some('T'));
    assert_eq!(open.simple(INSERT).await.commands(), ["INSERT 0 1"]);
    let mut waits = spread.wire("globex").await;
    waits.query(PORT).flush().await;
    let line = "pgstrata_clients_waiting{database=\"app@b\"} 1\n";
    eventually(true, async || metrics(&spread).await.contains(line)).await;
    spread.reload(&spread.with_b_at(setup().servers(1), c.port())).await;
    // Who waited for a server has one of the new place.
    assert_eq!(waits.until(b'Z').await.value(), c.port().to_string());
    // What was begun ends where it was begun.
    assert_eq!(open.simple(PORT).await.value(), spread.b.port().to_string());
    assert_eq!(open.simple(INSERT).await.commands(), ["INSERT 0 1"]);
    assert_eq!(open.simple("COMMIT").await.commands(), ["COMMIT"]);
    assert_eq!(open.simple(PORT).await.value(), c.port().to_string());
    let kept = "SELECT name FROM globex.users WHERE name = 'kept'";
    assert_eq!(names(&superuser(&spread.b).await, kept).await.len(), 2);
    assert_eq!(names(&superuser(&c).await, kept).await.len(), 0);
    // A transaction of another cluster's is nothing to it.
    let mut other = spread.wire("acme_corp").await;
    let theirs = format!("/*tenant='globex'*/ {NAMES}");
    assert_eq!(other.simple(&theirs).await.column(), GLOBEX);
    other.simple("BEGIN; SELECT 1").await;
    spread.reload(&spread.with_both(setup().servers(1))).await;
    assert_eq!(other.simple(&theirs).await.code(), "25001");
    assert_eq!(other.simple("ROLLBACK").await.status(), Some('I'));
    assert_eq!(other.simple(NAMES).await.column(), ACME);
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_only_listens_hears_that_its_tenant_is_elsewhere() {
    let spread = Spread::new(setup()).await;
    two_schemas(&spread).await;
    let mut moved = spread.wire("initech").await;
    moved.simple("LISTEN orders").await;
    let mut stays = spread.wire("acme_corp").await;
    stays.simple("LISTEN orders").await;
    let mut over = spread.wire("initech").await;
    over.simple("LISTEN orders; UNLISTEN orders").await;
    go(&spread, "b").await;
    assert!(last_words(&mut moved).await.contains("\"initech\" has moved to another cluster"));
    // A reload has the other cluster elsewhere.
    let mut reloaded = spread.wire("globex").await;
    reloaded.simple("LISTEN orders").await;
    let c = database::cluster().await;
    spread.reload(&spread.with_b_at(setup(), c.port())).await;
    assert!(last_words(&mut reloaded).await.contains("configuration of the"));
    // What has not moved is heard, and who listens to nothing is not told to leave.
    spread.wire("acme_corp").await.simple("NOTIFY orders, 'heard'").await;
    timeout(Duration::from_secs(20), stays.until(b'A')).await.expect("a notification");
    spread.reload(&spread.with_both(setup())).await;
    assert_eq!(over.simple(NAMES).await.column(), ["on b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn listener_of_one_cluster_stops_nobody_while_the_registry_is_away() {
    let mut spread = Spread::new(setup().tenant_cache("10ms").line("pool", "wait_timeout = '300ms'")).await;
    let mut wire = spread.wire("globex").await;
    assert_eq!(wire.simple(NAMES).await.column(), GLOBEX);
    spread.a.stop().unwrap();
    let server = superuser(&spread.b).await;
    let listeners = "SELECT pid::text FROM pg_stat_activity WHERE application_name = 'pgstrata listener'";
    let before = names(&server, listeners).await;
    assert_eq!(before.len(), 1);
    server.execute("SELECT pg_terminate_backend($1::text::int)", &[&before[0]]).await.unwrap();
    eventually(true, async || {
        let now = names(&server, listeners).await;
        now.len() == 1 && now != before
    })
    .await;
    spread.listens("app@b").await;
    for _ in 0..3 {
        assert_eq!(wire.simple(NAMES).await.column(), GLOBEX);
    }
    // Where the tenant lives is known, so that others are let in.
    assert_eq!(spread.wire("globex").await.simple(NAMES).await.column(), GLOBEX);
    assert_eq!(spread.try_wire("hooli").await.unwrap_err().code, "08006");
    spread.a.restart().unwrap();
    spread.listens("app").await;
    assert_eq!(spread.wire("acme_corp").await.simple(NAMES).await.column(), ACME);
}

#[tokio::test(flavor = "multi_thread")]
async fn readiness_is_that_of_the_cluster_with_the_registry() {
    let mut spread = Spread::new(setup()).await;
    let ready = async |spread: &Spread| http(spread.process.http_port, "/readyz").await;
    let said = ready(&spread).await;
    assert!(said.starts_with("HTTP/1.1 200") && !said.contains("can not be reached"), "{said}");
    spread.b.stop().unwrap();
    let said = ready(&spread).await;
    assert!(said.starts_with("HTTP/1.1 200"), "{said}");
    assert!(said.contains("database \"app@b\" can not be reached"), "{said}");
    let shown = metrics(&spread).await;
    assert!(shown.contains("pgstrata_ready{database=\"app@b\"} 0"), "{shown}");
    assert!(shown.contains("pgstrata_ready{database=\"app\"} 1"), "{shown}");
    spread.b.restart().unwrap();
    spread.a.stop().unwrap();
    let said = ready(&spread).await;
    assert!(said.starts_with("HTTP/1.1 503") && said.contains("database \"app\" can not"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_go_with_their_cluster() {
    let spread = Spread::new(setup()).await;
    spread.wire("globex").await.simple(NAMES).await;
    http(spread.process.http_port, "/readyz").await;
    let series = async || {
        let text = metrics(&spread).await;
        let own = text.lines().filter(|line| line.contains("database=\"app@b\""));
        own.filter_map(|line| line.split('{').next()).map(str::to_owned).collect::<Vec<_>>()
    };
    let before = series().await;
    for name in ["pgstrata_servers", "pgstrata_servers_limit", "pgstrata_tenants_listening", "pgstrata_ready"]
    {
        assert!(before.iter().any(|shown| shown == name), "{name}: {before:?}");
    }
    spread.reload(spread.first_setup()).await;
    assert_eq!(series().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_are_listed_where_there_is_somebody_to_ask() {
    let mut spread = Spread::new(setup()).await;
    let tenants = |listed: &serde_json::Value| -> Vec<(String, serde_json::Value)> {
        let one =
            |one: &serde_json::Value| (one["tenant"].as_str().unwrap().to_owned(), one["placed"].clone());
        listed.as_array().unwrap().iter().map(one).collect()
    };
    spread.b.stop().unwrap();
    let listed = spread.tenant(&["list", "--json"]).await;
    assert_eq!(tenants(&listed.json()), [("acme_corp".to_owned(), true.into())]);
    assert!(!listed.err.contains("where it has no schema"), "{listed:?}");
    listed.failed(3, "the tenants on cluster \"b\" are not listed");
    spread.b.restart().unwrap();
    spread.a.stop().unwrap();
    let listed = spread.tenant(&["list", "--json"]).await;
    let found: Vec<String> = tenants(&listed.json()).into_iter().map(|(tenant, _)| tenant).collect();
    assert_eq!(found, ["acme_corp", "globex"]);
    assert!(tenants(&listed.json()).iter().all(|(_, placed)| placed.is_null()), "{listed:?}");
    listed.failed(3, "where tenants are placed is not known");
    spread.b.stop().unwrap();
    spread.tenant(&["list"]).await.failed(1, "the tenants on cluster \"a\" are not listed");
}

/// A connection of the role `app` to the database that has the registry.
fn control(spread: &Spread) -> Control {
    let login = format!("postgresql://app:app@127.0.0.1:{}/app", spread.a.port());
    Control::new(login.parse().unwrap(), NoTls, 1, Settings::default()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_commands_that_make_a_tenant_one_wins() {
    let spread = Spread::new(setup()).await;
    let (registry, other) = (superuser(&spread.a).await, superuser(&spread.b).await);
    for tenant in ["hooli", "initech", "umbrella", "wonka"] {
        let (here, there) = tokio::join!(async { spread.tenant(&["create", tenant]).await }, async {
            spread.tenant(&["create", tenant, "--on", "b"]).await
        });
        let (winner, loser) = if here.code == 0 { (here, there) } else { (there, here) };
        assert_eq!((winner.code, loser.code), (0, 1), "{winner:?} {loser:?}");
        assert!(loser.err.contains(tenant), "{loser:?}");
        let schema = format!("SELECT nspname::text FROM pg_namespace WHERE nspname = '{tenant}'");
        let placement = format!("SELECT cluster FROM pgstrata_control.placements WHERE schema = '{tenant}'");
        let places = [&names(&registry, &schema).await, &names(&other, &schema).await].map(Vec::len);
        let placed = names(&registry, &placement).await.len();
        assert!(matches!((places, placed), ([1, 0], 0) | ([0, 1], 1)), "{places:?} {placed}");
    }
    // Whatever the other command is about to do.
    let schema = SchemaName::new("gringotts", &Settings::default()).unwrap();
    let placing = control(&spread).placing().await.unwrap();
    placing.lock(&schema).await.unwrap();
    spread
        .tenant(&["create", "gringotts", "--on", "b"])
        .await
        .failed(1, "another command is at work on schema \"gringotts\"");
    placing.place(&schema, "b", "app").await.unwrap();
    spread.tenant(&["drop", "gringotts", "--yes"]).await.failed(1, "another command is at work");
    placing.done().await.unwrap();
    spread.tenant(&["create", "gringotts", "--on", "b"]).await.ok();
    spread.tenant(&["drop", "gringotts", "--yes"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lets_the_proxy_read_placements_is_given_again_and_named() {
    let spread = Spread::new(setup().tenant_cache("10ms")).await;
    let server = superuser(&spread.a).await;
    server.batch_execute("REVOKE SELECT ON pgstrata_control.placements FROM app").await.unwrap();
    eventually("08006".to_owned(), async || match spread.try_wire("globex").await {
        Ok(_) => String::new(),
        Err(refused) => refused.code,
    })
    .await;
    // They are the owner's to give.
    spread.tenant(&["list"]).await.ok();
    assert_eq!(spread.wire("globex").await.simple(NAMES).await.column(), GLOBEX);
    let taken = "ALTER TABLE pgstrata_control.placements OWNER TO CURRENT_USER;
                 ALTER SEQUENCE pgstrata_control.generations OWNER TO CURRENT_USER;
                 REVOKE ALL ON pgstrata_control.placements FROM app; GRANT SELECT ON pgstrata_control.placements TO app";
    server.batch_execute(taken).await.unwrap();
    let refused = spread.tenant(&["create", "hooli", "--on", "b"]).await;
    let grants =
        refused.err.split("Run as the registry's owner: ").nth(1).expect("it says what to run").to_owned();
    assert!(grants.contains("SEQUENCE pgstrata_control.generations"), "{grants}");
    refused.failed(1, "permission denied for");
    // What it says is what is needed.
    server.batch_execute(&grants).await.unwrap();
    spread.tenant(&["create", "hooli", "--on", "b"]).await.ok();
    // The proxy's servers can't read it, and the owner is somebody else: the command says what is to be run.
    server.batch_execute("REVOKE ALL ON pgstrata_control.placements FROM app").await.unwrap();
    let said = spread.tenant(&["suspend", "acme_corp"]).await;
    let grants =
        said.err.split("Run as its owner: ").nth(1).expect("it says what to run").lines().next().unwrap();
    server.batch_execute(grants).await.unwrap();
    assert_eq!(spread.wire("globex").await.simple(NAMES).await.column(), GLOBEX);
}

#[tokio::test(flavor = "multi_thread")]
async fn registry_that_may_not_be_upgraded_is_enough_for_one_cluster() {
    let tenants = Tenants::new("[provision]\nsource = 'template'").await;
    tenants.sql("CREATE SCHEMA template AUTHORIZATION keeper").await;
    tenants.run(&["create", "hooli"]).await.ok();
    // As an earlier version has left it, and a superuser has made it.
    let older = "DROP TABLE pgstrata_control.placements CASCADE; DROP SEQUENCE pgstrata_control.generations;
        DROP FUNCTION pgstrata_control.refuse_second_place CASCADE;
        DROP FUNCTION pgstrata_control.refuse_second_schema CASCADE;
        ALTER SCHEMA pgstrata_control OWNER TO CURRENT_USER;
        ALTER TABLE pgstrata_control.schemas OWNER TO CURRENT_USER;
        ALTER TABLE pgstrata_control.migrations OWNER TO CURRENT_USER;
        ALTER FUNCTION pgstrata_control.announce OWNER TO CURRENT_USER;
        ALTER FUNCTION pgstrata_control.record OWNER TO CURRENT_USER;
        GRANT USAGE ON SCHEMA pgstrata_control TO keeper;
        GRANT SELECT, INSERT, UPDATE, DELETE ON pgstrata_control.schemas, pgstrata_control.migrations TO keeper;
        COMMENT ON SCHEMA pgstrata_control IS 'pgstrata registry, version 1'";
    tenants.sql(older).await;
    let warned = tenants.run(&["list"]).await;
    assert_eq!(warned.err.matches("the registry stays at version 1").count(), 1, "{warned:?}");
    assert!(warned.ok().contains("hooli"));
    tenants.run(&["create", "initech"]).await.ok();
    tenants.run(&["suspend", "initech"]).await.ok();
    // Its owner upgrades it: who was let in to the older one can do the same with the newer one.
    let socket = tenants.cluster.socket_dir().display().to_string().replace('/', "%2F");
    let url = format!("postgresql://postgres@{socket}:{}/app", tenants.cluster.port());
    let upgraded = tenants.run(&["--admin-url", &url, "list"]).await;
    assert!(!upgraded.err.contains("stays at version"), "{upgraded:?}");
    upgraded.ok();
    let can = "SELECT (has_table_privilege('keeper', 'pgstrata_control.placements', 'INSERT')
        AND has_sequence_privilege('keeper', 'pgstrata_control.generations', 'USAGE')
        AND has_table_privilege('app', 'pgstrata_control.placements', 'SELECT')
        AND has_function_privilege('keeper',
            'pgstrata_control.record(name, bigint, bigint, text, bytea, bigint)', 'EXECUTE'))::text";
    assert_eq!(names(&tenants.superuser().await, can).await, ["true"]);
    assert!(!tenants.run(&["list"]).await.err.contains("warning"));
    // Nobody else can call what runs for triggers; what is left runs as its caller.
    let open =
        "SELECT proname::text || prosecdef FROM pg_proc WHERE pronamespace = 'pgstrata_control'::regnamespace
        AND has_function_privilege('public', oid, 'EXECUTE')";
    assert_eq!(names(&tenants.superuser().await, open).await, ["recordfalse"]);
}
