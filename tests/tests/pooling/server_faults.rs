//! PostgreSQL ends a connection, or ends itself: one clear error, and on it goes.

use std::time::Duration;

use pgstrata_tests::{ACME, Setup, Stage, Wire};
use tokio_postgres::Client;

const NAMES: &str = "SELECT name FROM users ORDER BY id";

async fn stage() -> Stage {
    Stage::new(Setup::new().servers(1).relay()).await
}

/// A client of its own for each question, since the first may have been cut off.
async fn works(stage: &Stage) {
    let mut next = stage.wire("acme_corp").await;
    assert_eq!(next.simple(NAMES).await.column(), ACME);
}

/// Starts a query that does not end, and returns once PostgreSQL runs it.
async fn endless_query(stage: &Stage) -> Wire {
    let mut client = stage.wire("acme_corp").await;
    client.query("SELECT name FROM users, pg_sleep(600)").flush().await;
    let server = stage.superuser().await;
    let query = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND state = 'active' \
                 AND pid <> pg_backend_pid()";
    while server.query_one(query, &[]).await.unwrap().get::<_, i64>(0) == 0 {}
    client
}

/// Ends those of the proxy's connections that are in this state, and waits until they are gone.
async fn end_backends(server: &Client, state: &str) {
    let such = format!("FROM pg_stat_activity WHERE usename = 'app' AND state = '{state}'");
    server.query_one(&format!("SELECT count(pg_terminate_backend(pid)) {such}"), &[]).await.unwrap();
    let left = format!("SELECT count(*) {such}");
    while server.query_one(&left, &[]).await.unwrap().get::<_, i64>(0) > 0 {}
}

/// A server that was given back a moment ago, as of when the request was read that is lost: none the less it is looked at.
#[tokio::test(flavor = "multi_thread")]
async fn what_waited_behind_a_lost_request_runs_on_a_server_that_lives() {
    let stage = Stage::new(Setup::new().servers(2)).await;
    let mut other = stage.wire("acme_corp").await;
    let mut client = stage.wire("acme_corp").await;
    client.query("SELECT name FROM users, pg_sleep(600)").query(NAMES).flush().await;
    let server = stage.superuser().await;
    let running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' \
                   AND state = 'active' AND pid <> pg_backend_pid()";
    while server.query_one(running, &[]).await.unwrap().get::<_, i64>(0) == 0 {}
    assert_eq!(other.simple(NAMES).await.column(), ACME);
    end_backends(&server, "idle").await;
    end_backends(&server, "active").await;
    assert_eq!(client.until(b'Z').await.fault().expect("the client is told").code, "57P01");
    let answer = client.until(b'Z').await;
    assert_eq!(answer.fault(), None);
    assert_eq!(answer.column(), ACME);
}

const END_BACKENDS: &str =
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = 'app'";

#[tokio::test(flavor = "multi_thread")]
async fn backend_terminated_while_a_query_runs() {
    let stage = stage().await;
    let mut client = endless_query(&stage).await;
    stage.superuser().await.query_one(END_BACKENDS, &[]).await.unwrap();
    let fault = client.until(b'Z').await.fault().expect("the client is told");
    assert_eq!(fault.code, "57P01", "{fault:?}");
    works(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_backends_terminated() {
    let stage = stage().await;
    let mut client = stage.wire("acme_corp").await;
    assert_eq!(client.simple(NAMES).await.column(), ACME);
    let server = stage.superuser().await;
    server.query_one(END_BACKENDS, &[]).await.unwrap();
    let left = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'app'";
    while server.query_one(left, &[]).await.unwrap().get::<_, i64>(0) > 0 {}
    assert_eq!(client.simple(NAMES).await.column(), ACME, "the same client goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn backend_terminated_in_a_transaction() {
    let stage = stage().await;
    let mut client = stage.wire("acme_corp").await;
    client.simple("BEGIN").await;
    client.simple("INSERT INTO users (name, email) VALUES ('x', 'x')").await;
    stage.superuser().await.query_one(END_BACKENDS, &[]).await.unwrap();
    let fault =
        client.simple("COMMIT").await.fault().expect("the transaction is lost, and the client is told");
    assert!(["57P01", "08006", "08003"].contains(&fault.code.as_str()), "{fault:?}");
    works(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_restarted() {
    let mut stage = stage().await;
    let mut client = stage.wire("acme_corp").await;
    assert_eq!(client.simple(NAMES).await.column(), ACME);
    stage.cluster.restart().unwrap();
    assert_eq!(client.simple(NAMES).await.column(), ACME, "the same client goes on");
    works(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_crashed_and_started() {
    let mut stage = stage().await;
    let mut client = endless_query(&stage).await;
    stage.cluster.kill().unwrap();
    assert!(client.until(b'Z').await.fault().is_some(), "the client is told");
    stage.cluster.restart().unwrap();
    works(&stage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn network_to_postgres_broken_while_a_query_runs() {
    let stage = stage().await;
    let mut client = endless_query(&stage).await;
    stage.relay().drop_connections();
    let fault = client.until(b'Z').await.fault().expect("the client is told");
    assert!(fault.code.starts_with("08"), "{fault:?}");
    works(&stage).await;
}

/// All that comes until the connection is closed.
async fn last_words(client: &mut Wire) -> String {
    client.until(0).await.fault().expect("the client is told why").code
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_told_when_the_proxy_stops() {
    let mut stage = Stage::new(Setup::new()).await;
    let mut fresh = stage.wire("acme_corp").await;
    let mut idle = stage.wire("acme_corp").await;
    assert_eq!(idle.simple(NAMES).await.column(), ACME);
    let mut prepared = stage.wire("acme_corp").await;
    assert_eq!(prepared.extended(NAMES, &[]).await.column(), ACME);
    let mut pinned = stage.wire("acme_corp").await;
    pinned.simple("CREATE TEMP TABLE t ()").await;
    let mut open = stage.wire("acme_corp").await;
    open.simple("BEGIN").await;
    open.simple("INSERT INTO users (name, email) VALUES ('late', 'late')").await;
    stage.stop();
    for client in [&mut fresh, &mut idle, &mut prepared, &mut pinned] {
        assert_eq!(last_words(client).await, "57P01");
    }
    assert_eq!(open.simple("COMMIT").await.tags(), "CZ", "what has begun may end");
    assert_eq!(last_words(&mut open).await, "57P01");
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_told_also_when_nobody_waits_for_them_any_more() {
    let mut stage = Stage::new(Setup::new()).await;
    let mut open = stage.wire("acme_corp").await;
    open.simple("BEGIN").await;
    open.simple("INSERT INTO users (name, email) VALUES ('late', 'late')").await;
    stage.stop();
    while stage.is_running() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(open.simple("COMMIT").await.tags(), "CZ", "what has begun may end");
    let told = tokio::time::timeout(Duration::from_secs(5), last_words(&mut open)).await;
    assert_eq!(told.as_deref(), Ok("57P01"));
}

/// What is passed on as it comes is not read ahead, whatever its bytes look like.
#[tokio::test(flavor = "multi_thread")]
async fn client_waits_while_postgresql_takes_nothing() {
    const MESSAGE: usize = 8 << 20;
    let stage = stage().await;
    for copies in [true, false] {
        let mut client = stage.wire("acme_corp").await;
        let head = match copies {
            true => {
                client.query("COPY users (name) FROM STDIN").flush().await;
                client.until(b'G').await;
                Vec::new()
            }
            // One value of one parameter.
            false => {
                client.parse("", "SELECT length($1)").flush().await;
                let length = u32::try_from(MESSAGE).unwrap().to_be_bytes();
                [b"\0\0\0\0\0\x01", &length[..]].concat()
            }
        };
        stage.relay().stall(true);
        // Each part of it would be the header of a message of a gigabyte.
        let value = [b'd', 0x3f, 0xff, 0xff, 0xff].repeat(MESSAGE / 5 + 1);
        let mut taken = 0;
        'all: for _ in 0..16 {
            let length = u32::try_from(4 + head.len() + MESSAGE).unwrap().to_be_bytes();
            let tag = if copies { b'd' } else { b'B' };
            let message = [&[tag], &length[..], &head, &value[..MESSAGE]].concat();
            for part in message.chunks(64 << 10) {
                if tokio::time::timeout(Duration::from_secs(1), client.raw(part)).await.is_err() {
                    break 'all;
                }
                taken += part.len();
            }
        }
        // Buffers of four sockets, and of the relay.
        assert!(taken < 48 << 20, "{taken} bytes were taken in that nobody can have");
        drop(client);
        stage.relay().stall(false);
    }
    works(&stage).await;
}
