//! PostgreSQL is away, or takes nobody in: clients wait as long as they are told to, then get one error.

use std::time::Duration;

use pgstrata_tests::{ACME, Setup, Stage, Wire};
use tokio::time::{sleep, timeout};

const NAMES: &str = "SELECT name FROM users ORDER BY id";
const SOON: Duration = Duration::from_secs(30);

/// Ends all connections, and lets no new ones through.
fn cut_off(stage: &Stage) {
    stage.relay().stall(true);
    stage.relay().drop_connections();
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_wait_while_postgresql_restarts() {
    let mut stage = Stage::new(Setup::new().line("pool", "wait_timeout = '60s'")).await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut wire = stage.wire("acme_corp").await;
        assert_eq!(wire.simple(NAMES).await.column(), ACME);
        clients.push(wire);
    }
    stage.cluster.stop().unwrap();
    let waiting: Vec<_> = clients
        .into_iter()
        .map(|mut wire| {
            tokio::spawn(async move {
                let answer = wire.simple(NAMES).await;
                (answer.column(), wire)
            })
        })
        .collect();
    // One that logs in meanwhile waits, too.
    let port = stage.port();
    let late = tokio::spawn(async move {
        Wire::login(port, "app", "app", &[("options", "-ctenant=globex"), ("application_name", "late")]).await
    });
    sleep(Duration::from_secs(2)).await;
    stage.cluster.restart().unwrap();
    for client in waiting {
        let (names, _) = timeout(SOON, client).await.expect("PostgreSQL is back").unwrap();
        assert_eq!(names, ACME);
    }
    assert!(timeout(SOON, late).await.unwrap().unwrap().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_clear_error_when_waiting_is_over() {
    let stage =
        Stage::new(Setup::new().relay().line("pool", "wait_timeout = '1s'\nconnect_timeout = '500ms'")).await;
    let mut wire = stage.wire("acme_corp").await;
    assert_eq!(wire.simple(NAMES).await.column(), ACME);
    cut_off(&stage);
    for _ in 0..2 {
        let answer = wire.simple(NAMES).await;
        assert_eq!((answer.code().as_str(), answer.tags().as_str()), ("08006", "EZ"));
        let answer = wire.extended(NAMES, &[]).await;
        assert_eq!((answer.code().as_str(), answer.tags().as_str()), ("08006", "EZ"));
    }
    stage.relay().stall(false);
    sleep(Duration::from_secs(3)).await;
    assert_eq!(wire.simple(NAMES).await.column(), ACME);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_run_out_are_waited_for() {
    let stage =
        Stage::new(Setup::new().servers(8).connections(12).line("pool", "wait_timeout = '20s'")).await;
    let mut wire = stage.wire("acme_corp").await;
    wire.simple("SELECT 1").await;
    // Somebody else takes what is left; three are kept for superusers.
    let mut others = Vec::new();
    while let Ok(other) = Wire::login(stage.cluster.port(), "app", "app", &[]).await {
        others.push(other);
    }
    let mut held = Vec::new();
    let mut busy = stage.wire("acme_corp").await;
    busy.simple("BEGIN").await;
    held.push(busy);
    let mut waiting = stage.wire("globex").await;
    let answer = tokio::spawn(async move { waiting.simple(NAMES).await });
    sleep(Duration::from_millis(500)).await;
    assert!(!answer.is_finished(), "no connection is to be had");
    drop(others);
    assert_eq!(timeout(SOON, answer).await.expect("there is room again").unwrap().column().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_time_will_mend_is_told_at_once() {
    let stage = Stage::new(Setup::new().line("pool", "wait_timeout = '60s'")).await;
    let mut wire = stage.wire("acme_corp").await;
    let server = stage.superuser().await;
    server.batch_execute("ALTER ROLE app PASSWORD 'another'").await.unwrap();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'";
    server.execute(end, &[]).await.unwrap();
    // The server that was used a moment ago may be tried once.
    wire.simple("SELECT 1").await;
    let answer = timeout(SOON, wire.simple(NAMES)).await.expect("no waiting");
    assert_eq!(answer.code(), "08006");
}
