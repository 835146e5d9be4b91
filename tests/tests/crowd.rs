//! Many clients, few servers.

use pgstrata_tests::{ACME, GLOBEX, Setup, Stage, Wire};
use tokio::task::JoinSet;

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
