//! `/readyz` says what a client would get now.

use pgstrata_tests::signals::Stopped;
use pgstrata_tests::stage::{eventually, http};
use pgstrata_tests::{ACME, Setup, Stage, Wire};

const NAMES: &str = "SELECT name FROM users ORDER BY id";

/// The status of `/readyz` now.
async fn status(stage: &Stage) -> String {
    let answer = http(stage.http_port(), "/readyz").await;
    answer.split(' ').nth(1).unwrap_or_default().to_owned()
}

async fn ready(stage: &Stage) {
    eventually("200".to_owned(), async || status(stage).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_postgresql_is_not_ready() {
    let stage = Stage::new(Setup::new()).await;
    let mut client = stage.wire("acme_corp").await;
    assert_eq!(client.simple(NAMES).await.column(), ACME);
    ready(&stage).await;
    let stopped = Stopped::stop(&stage.cluster);
    for _ in 0..3 {
        assert_eq!(status(&stage).await, "503");
    }
    drop(stopped);
    ready(&stage).await;
    assert_eq!(client.simple(NAMES).await.column(), ACME);
}

#[tokio::test(flavor = "multi_thread")]
async fn black_hole_is_not_ready() {
    let stage = Stage::new(Setup::new().relay()).await;
    let mut client = stage.wire("acme_corp").await;
    assert_eq!(client.simple(NAMES).await.column(), ACME);
    ready(&stage).await;
    stage.relay().stall(true);
    for _ in 0..3 {
        assert_eq!(status(&stage).await, "503");
    }
    stage.relay().stall(false);
    ready(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn busy_servers_are_waited_for_and_ready() {
    let stage = Stage::new(Setup::new().servers(2)).await;
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = stage.wire("acme_corp").await;
        client.simple("BEGIN").await;
        clients.push(client);
    }
    assert_eq!(status(&stage).await, "200");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_at_the_limit_of_their_role_are_ready() {
    let stage = Stage::new(Setup::new().servers(8)).await;
    let server = stage.superuser().await;
    let mut busy = stage.wire("acme_corp").await;
    busy.simple("BEGIN").await;
    // As many as there are now, and no more.
    server.batch_execute("ALTER ROLE app CONNECTION LIMIT 1").await.unwrap();
    assert_eq!(status(&stage).await, "200", "who comes waits for the servers that there are");
    assert_eq!(busy.simple("COMMIT").await.commands(), ["COMMIT"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_in_and_nothing_is_ready() {
    let stage = Stage::new(Setup::new().line("pool", "wait_timeout = '1s'")).await;
    let server = stage.superuser().await;
    server.batch_execute("ALTER ROLE app NOLOGIN").await.unwrap();
    // The connections that listen and look tenants up are still there.
    assert_eq!(status(&stage).await, "503");
    let refused =
        Wire::login(stage.port(), "app", "app", &[("options", "-ctenant=acme_corp"), ("datestyle", "iso")]);
    assert_eq!(refused.await.unwrap_err().code, "08006");
    server.batch_execute("ALTER ROLE app LOGIN").await.unwrap();
    ready(&stage).await;
}
