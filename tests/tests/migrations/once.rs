//! Several at once, and those that are killed: each schema gets each migration once.

use std::process::Stdio;
use std::time::{Duration, Instant};

use pgstrata_control::migrate::Options;
use pgstrata_tests::{Schemas, stage};
use tokio::process::{Child, Command};

use crate::three;

/// How often each migration ran in each schema.
const TIMES: &str = "SELECT DISTINCT count(*) FROM public.ran GROUP BY schema, step";

async fn killable(schemas: &Schemas) -> Child {
    let connection = format!(
        "host={} port={} user=postgres dbname=app",
        schemas.cluster.socket_dir().display(),
        schemas.cluster.port()
    );
    Command::new(env!("CARGO_BIN_EXE_migrate"))
        .args([&connection, schemas.folder().to_str().unwrap(), "2"])
        .stdout(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

async fn count(schemas: &Schemas, sql: &str) -> usize {
    schemas.value(sql).await.parse().unwrap()
}

/// Waits until so many migrations were run.
async fn wait_for(schemas: &Schemas, at_least: usize) {
    while count(schemas, "SELECT count(*) FROM public.ran").await < at_least {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Ends all that migrates, and waits until it is gone.
const OTHERS: &str =
    "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'";

fn end_others() -> String {
    format!("SELECT pg_terminate_backend(pid) FROM ({OTHERS}) AS o")
}

#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_do_each_once() {
    let schemas = three(&[]).await;
    schemas.file(
        "0003_outside.sql",
        "-- pgstrata: no-transaction\nCREATE INDEX CONCURRENTLY ON users (email);\nSELECT ran('outside');",
    );
    schemas.crowd(40).await;
    schemas.file("0001_users.sql", "SELECT ran('one'); SELECT pg_sleep(0.005);");
    schemas.run("CREATE TABLE template.users (id int PRIMARY KEY, name text)").await;
    let (first, second) = (schemas.another(3), schemas.another(3));
    let (migrations, options) = (schemas.migrations(), Options::default());
    let (one, other) =
        tokio::join!(first.migrate(&migrations, &options), second.migrate(&migrations, &options));
    for report in [one.unwrap(), other.unwrap()] {
        assert!(report.is_ok(), "{:#?}", report.failed().collect::<Vec<_>>());
    }
    assert_eq!(schemas.values(TIMES).await, ["1"]);
    assert_eq!(schemas.ran().await.len(), 41 * 4);
    assert_eq!(
        schemas.value("SELECT count(*) FROM pgstrata_control.migrations WHERE state = 'done'").await,
        "164"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn thousand_tenants_killed_again_and_again_get_each_once() {
    let schemas = three(&[]).await;
    schemas.file("0001_users.sql", "SELECT ran('one')");
    schemas.run("CREATE TABLE template.users (id int PRIMARY KEY, name text)").await;
    schemas.crowd(1000).await;
    for round in 1..=4 {
        let mut child = killable(&schemas).await;
        wait_for(&schemas, round * 400).await;
        child.kill().await.unwrap();
    }
    // What the killed ones had begun is rolled back by PostgreSQL when it notices.
    let began = Instant::now();
    let report = schemas.bring().await;
    println!("{} tenants left, brought in {:?}", report.schemas.len(), began.elapsed());
    assert_eq!(schemas.values(TIMES).await, ["1"]);
    assert_eq!(schemas.ran().await.len(), 1001 * 3);
    let behind =
        "SELECT count(*) FROM pgstrata_control.schemas WHERE version IS DISTINCT FROM 20261125120000";
    assert_eq!(schemas.value(behind).await, "0");
    let last = "SELECT count(*) FROM pg_attribute WHERE attname = 'email' AND attrelid IN
                (SELECT oid FROM pg_class WHERE relname = 'users' AND relnamespace::regnamespace::text ~ '^t')";
    assert_eq!(schemas.value(last).await, "1001");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_ended_cost_nothing_but_a_run() {
    let schemas = three(&[]).await;
    schemas.file("0001_users.sql", "SELECT ran('one')");
    schemas.run("CREATE TABLE template.users (id int PRIMARY KEY, name text)").await;
    schemas.crowd(100).await;
    // More than once: a connection that is ended between two transactions costs nothing at all.
    let cut = async {
        wait_for(&schemas, 100).await;
        for _ in 0..10_000 {
            schemas.values(&end_others()).await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let options = Options::default();
    let report = tokio::select! {
        report = schemas.migrate(&options) => report.unwrap(),
        () = cut => panic!("the run does not end"),
    };
    let codes: Vec<_> =
        report.failed().map(|outcome| outcome.failure.as_ref().unwrap().sqlstate.clone()).collect();
    assert!(!codes.is_empty(), "{report:#?}");
    schemas.bring().await;
    assert_eq!(schemas.values(TIMES).await, ["1"]);
    assert_eq!(schemas.ran().await.len(), 101 * 3);
}

/// A run whose runtime goes away in the middle of a transaction.
#[tokio::test(flavor = "multi_thread")]
async fn run_that_is_dropped_leaves_nothing_behind() {
    let schemas = three(&["acme", "globex"]).await;
    schemas.file(
        "0002_slow.sql",
        "SELECT ran('two'); SELECT pg_sleep(CASE current_schema() WHEN 'acme' THEN 3600 ELSE 0 END)",
    );
    schemas.remove("0002_email.sql");
    schemas.remove("20261125120000_alice.sql");
    let (control, migrations) = (schemas.another(2), schemas.migrations());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.spawn(async move { control.migrate(&migrations, &Options::default()).await });
    wait_for(&schemas, 5).await;
    runtime.shutdown_background();
    assert_eq!(schemas.ran().await.iter().filter(|ran| *ran == "acme two").count(), 0);
    // The lost one sleeps, and has the schema for itself, until PostgreSQL notices.
    schemas.file("0002_slow.sql", "SELECT ran('two')");
    let options = Options { accept_changed: true, ..Options::default() };
    assert!(schemas.migrate(&options).await.unwrap().is_ok());
    assert_eq!(schemas.values(TIMES).await, ["1"]);
    assert_eq!(schemas.ran().await.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_command_is_waited_for_only_as_long_as_is_wished() {
    let schemas = three(&["acme"]).await;
    schemas.remove("20261125120000_alice.sql");
    let mut other = stage::connect(&schemas.cluster.superuser("app")).await.unwrap();
    let holding = other.transaction().await.unwrap();
    let hash = "('x' || encode(substring(sha256('acme'), 1, 4), 'hex'))::bit(32)::int";
    let hold = format!("SELECT pg_advisory_xact_lock(x'70677374'::int, {hash})");
    holding.execute(&hold, &[]).await.unwrap();
    let options = Options { patience: Some(Duration::from_millis(50)), ..Options::default() };
    let report = schemas.migrate(&options).await.unwrap();
    let failure = report.of("acme").unwrap().failure.as_ref().unwrap();
    assert!(failure.message.starts_with("another command is still at work"), "{failure}");
    holding.rollback().await.unwrap();
    schemas.bring().await;
}
