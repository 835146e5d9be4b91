//! Many clients, few servers.

use std::time::Duration;

use pgstrata_tests::stage::eventually;
use pgstrata_tests::{ACME, GLOBEX, Setup, Stage, Wire};
use tokio::task::JoinSet;
use tokio::time::timeout;

const IDLE: usize = 2_000;
const BUSY: usize = 200;
const QUERIES: usize = 20;

fn tenant(number: usize) -> (&'static str, &'static [&'static str]) {
    if number.is_multiple_of(2) { ("acme_corp", &ACME) } else { ("globex", &GLOBEX) }
}

async fn work(mut client: Wire, expected: &[&str]) {
    for _ in 0..QUERIES {
        assert_eq!(client.simple("SELECT name FROM users ORDER BY id").await.column(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_idle_and_two_hundred_busy_clients_over_twenty_servers() {
    let stage = Stage::new(Setup::new().servers(20)).await;
    let mut idle = Vec::new();
    for number in 0..IDLE {
        idle.push(stage.wire(tenant(number).0).await);
    }
    let mut busy = JoinSet::new();
    for number in 0..BUSY {
        let (tenant, expected) = tenant(number);
        busy.spawn(work(stage.wire(tenant).await, expected));
    }
    while let Some(done) = busy.join_next().await {
        done.unwrap();
    }
    for (number, mut client) in idle.into_iter().enumerate() {
        assert_eq!(client.simple("SELECT name FROM users ORDER BY id").await.column(), tenant(number).1);
    }
    let query = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'";
    let servers: i64 = stage.superuser().await.query_one(query, &[]).await.unwrap().get(0);
    assert!(servers <= 23, "{servers} servers for a pool of 20, and what looks up tenants and listens");
}

/// A client that sends its next request at once has the answer to the one before all the same.
#[tokio::test(flavor = "multi_thread")]
async fn answer_does_not_wait_for_what_the_next_request_waits_for() {
    let stage = Stage::new(Setup::new().servers(1)).await;
    let (mut client, mut other) = (stage.wire("acme_corp").await, stage.wire("globex").await);
    let server = stage.superuser().await;
    server.batch_execute("BEGIN; LOCK acme_corp.users").await.unwrap();
    client.query("SELECT name FROM users ORDER BY id").query("SELECT 1").flush().await;
    eventually(1.0, async || stage.metric("pgstrata_servers{database=\"app\",state=\"active\"}").await).await;
    let holding = tokio::spawn(async move { (other.simple("BEGIN").await.status(), other) });
    eventually(1.0, async || stage.metric("pgstrata_clients_waiting{database=\"app\"}").await).await;
    server.batch_execute("COMMIT").await.unwrap();
    let (status, mut other) = holding.await.unwrap();
    assert_eq!(status, Some('T'));
    let answer = timeout(Duration::from_secs(20), client.until(b'Z')).await.expect("it is there");
    assert_eq!(answer.column(), ACME);
    other.simple("COMMIT").await;
    assert_eq!(client.until(b'Z').await.value(), "1");
}
