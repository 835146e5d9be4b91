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

/// So many clients, each with so many requests, one after the other; how many there were with that SQLSTATE.
async fn crowd(stage: &Stage, clients: usize, requests: usize) -> Vec<String> {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..clients {
        let mut wire = stage.wire(["acme_corp", "globex"][number % 2]).await;
        tasks.spawn(async move {
            let mut codes = Vec::new();
            for _ in 0..requests {
                codes.extend(wire.simple(NAMES).await.fault().map(|fault| fault.code));
            }
            codes
        });
    }
    tasks.join_all().await.concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn pool_learns_how_many_connections_it_gets() {
    let all_of_them = "max_servers_per_tenant = 10";
    let stage = Stage::new(Setup::new().servers(10).line("tenancy", all_of_them)).await;
    let server = stage.superuser().await;
    let mine = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'";
    let taken: i64 = server.query_one(mine, &[]).await.unwrap().get(0);
    // Room for some servers, beside the connections that are there, and those that look things up.
    server.batch_execute(&format!("ALTER ROLE app CONNECTION LIMIT {}", taken + 6)).await.unwrap();
    let (mut rounds, mut open) = (0.0, 0.0);
    // Of a crowd that logs in at once, PostgreSQL may refuse more than it must.
    while rounds < 2.0 || open < 3.0 {
        assert!(crowd(&stage, 40, 50).await.is_empty(), "they wait for the servers that there are");
        open = stage.metric("pgstrata_servers{database=\"app\",state=\"idle\"}").await;
        rounds += 1.0;
    }
    assert!(open <= 6.0, "{open} servers");
    let refused = stage.metric("pgstrata_server_connect_errors_total").await;
    assert!(refused < 60.0 * rounds, "{refused} attempts for {rounds} times 2,000 requests");
    // It finds out when there is more to be had.
    server.batch_execute("ALTER ROLE app CONNECTION LIMIT -1").await.unwrap();
    let mut held = Vec::new();
    for _ in 0..10 {
        let mut wire = stage.wire("acme_corp").await;
        assert_eq!(wire.simple("BEGIN").await.status(), Some('T'));
        held.push(wire);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_password_is_told_at_once_and_tried_seldom() {
    let stage = Stage::new(Setup::new().servers(10).line("pool", "wait_timeout = '1h'")).await;
    let server = stage.superuser().await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(stage.wire("acme_corp").await);
    }
    server.batch_execute("ALTER ROLE app PASSWORD 'another'").await.unwrap();
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'";
    server.execute(end, &[]).await.unwrap();
    let left = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'";
    while server.query_one(left, &[]).await.unwrap().get::<_, i64>(0) > 0 {}
    let mut tasks = tokio::task::JoinSet::new();
    for mut wire in clients {
        tasks.spawn(async move {
            let mut faults = Vec::new();
            for _ in 0..20 {
                faults.extend(wire.simple(NAMES).await.fault());
            }
            faults
        });
    }
    let faults = tasks.join_all().await.concat();
    assert_eq!(faults.len(), 400);
    for fault in &faults {
        assert_eq!((fault.code.as_str(), fault.message.contains("(28P01)")), ("08006", true), "{fault:?}");
    }
    let attempts = stage.metric("pgstrata_server_connect_errors_total").await;
    assert!(attempts < 60.0, "{attempts} attempts for 400 requests");
    // Logins hear it, too, without waiting for what no time will mend.
    let refused = Wire::login(stage.port(), "app", "app", &[("options", "-ctenant=initech")]).await;
    assert_eq!(refused.unwrap_err().code, "08006");
    server.batch_execute("ALTER ROLE app PASSWORD 'app'").await.unwrap();
    while stage.wire("acme_corp").await.simple(NAMES).await.column() != ACME {
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_password_leaves_clients_to_the_servers_that_there_are() {
    let stage = Stage::new(Setup::new().servers(10).line("pool", "wait_timeout = '60s'")).await;
    let mut busy = stage.wire("acme_corp").await;
    assert_eq!(busy.simple("BEGIN").await.status(), Some('T'));
    stage.superuser().await.batch_execute("ALTER ROLE app PASSWORD 'another'").await.unwrap();
    let mut other = stage.wire("acme_corp").await;
    let waiting = tokio::spawn(async move { other.simple(NAMES).await.column() });
    sleep(Duration::from_millis(300)).await;
    assert_eq!(busy.simple("COMMIT").await.commands(), ["COMMIT"]);
    assert_eq!(timeout(SOON, waiting).await.expect("a server has come back").unwrap(), ACME);
}
