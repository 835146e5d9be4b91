//! Clients that take too long are closed, and others get their server.

use pgstrata_tests::{ACME, Setup, Stage, Wire};

const NAMES: &str = "SELECT name FROM users ORDER BY id";

/// One server, and this limit of the proxy's own.
async fn stage(limit: &str) -> Stage {
    Stage::new(Setup::new().servers(1).line("limits", limit)).await
}

/// The client is told this, and closed; another one has the server then, and nothing of it was kept.
async fn is_closed(stage: &Stage, mut wire: Wire, code: &str, what: &str) {
    let mut last = None;
    while let Some(message) = wire.receive().await {
        last = Some(message).filter(|message| message.tag == b'E').or(last);
    }
    let fault = pgstrata_tests::answer::Fault::read(&last.expect("the client is told"));
    assert_eq!((fault.severity.as_str(), fault.code.as_str()), ("FATAL", code), "{what}: {fault:?}");
    assert_eq!(stage.wire("acme_corp").await.simple(NAMES).await.column(), ACME, "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_keeps_its_server_waiting_is_closed() {
    let stage = stage("idle_transaction_timeout = '300ms'").await;
    let insert = "INSERT INTO users (name, email) VALUES ('lost', 'lost')";
    let mut wire = stage.wire("acme_corp").await;
    wire.simple("BEGIN").await;
    wire.simple(insert).await;
    is_closed(&stage, wire, "25P03", "a transaction").await;
    let mut wire = stage.wire("acme_corp").await;
    wire.simple("BEGIN").await;
    wire.simple("SELECT 1 / 0").await;
    is_closed(&stage, wire, "25P03", "a transaction that has failed").await;
    let mut wire = stage.wire("acme_corp").await;
    wire.parse("", insert).bind("", &[]).execute().message(b'H', b"").flush().await;
    is_closed(&stage, wire, "25P03", "a pipeline without Sync").await;
    let mut wire = stage.wire("acme_corp").await;
    wire.query("COPY users (name, email) FROM STDIN").flush().await;
    wire.until(b'G').await;
    wire.copy_data("lost\tlost\n").flush().await;
    is_closed(&stage, wire, "25P03", "a COPY").await;
    let mut wire = stage.wire("acme_corp").await;
    wire.parse("", "SELECT $1::text").flush().await;
    // A Bind of a megabyte, of which the first half comes.
    let mut half = vec![b'B', 0, 16, 0, 0];
    half.extend(b"\0\0\0\0\0\x01\0\x0f\xff\0");
    half.resize(512 << 10, b'x');
    wire.raw(&half).await;
    is_closed(&stage, wire, "25P03", "half a message").await;
    // PostgreSQL is at work, and the client waits for it.
    let mut wire = stage.wire("acme_corp").await;
    wire.parse("", "SELECT pg_sleep(1)").bind("", &[]).execute().message(b'H', b"").flush().await;
    assert_eq!(wire.until(b'C').await.fault(), None);
    assert_eq!(wire.sync().answer().await.code(), "");
    // Who does not hold a server may be idle.
    let mut idle = stage.wire("globex").await;
    tokio::time::sleep(std::time::Duration::from_millis(700)).await;
    assert_eq!(idle.simple("SELECT count(*) FROM users").await.code(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn request_that_takes_too_long_is_given_up() {
    let stage = stage("query_timeout = '300ms'").await;
    for extended in [false, true] {
        let mut wire = stage.wire("acme_corp").await;
        match extended {
            false => _ = wire.query("SELECT pg_sleep(600)").flush().await,
            true => _ = wire.parse("", "SELECT pg_sleep(600)").bind("", &[]).execute().sync().flush().await,
        }
        is_closed(&stage, wire, "57014", "pg_sleep").await;
    }
    let busy = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND state = 'active' \
                AND pid <> pg_backend_pid()";
    assert_eq!(stage.superuser().await.query_one(busy, &[]).await.unwrap().get::<_, i64>(0), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_that_lasts_too_long_is_rolled_back() {
    let stage = stage("transaction_timeout = '700ms'").await;
    let mut wire = stage.wire("acme_corp").await;
    wire.simple("BEGIN").await;
    let mut answer = wire.simple("INSERT INTO users (name, email) VALUES ('lost', 'lost')").await;
    // It is busy all the time.
    while answer.fault().is_none() && answer.status().is_some() {
        answer = wire.query("SELECT pg_sleep(0.05)").until_any(b"ZE").await;
    }
    assert_eq!(answer.code(), "25P04");
    assert_eq!(stage.wire("acme_corp").await.simple(NAMES).await.column(), ACME);
    // One transaction behind the other is none that lasts.
    let mut wire = stage.wire("acme_corp").await;
    for _ in 0..6 {
        assert_eq!(wire.simple("BEGIN; SELECT pg_sleep(0.2); COMMIT").await.code(), "");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn client_that_is_idle_is_closed() {
    let stage = stage("client_idle_timeout = '300ms'").await;
    let mut wire = stage.wire("acme_corp").await;
    assert_eq!(wire.simple("BEGIN; SELECT pg_sleep(0.6); COMMIT").await.code(), "");
    wire.simple("BEGIN").await;
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    assert_eq!(wire.simple("COMMIT").await.code(), "", "a transaction has a limit of its own");
    is_closed(&stage, wire, "57P05", "idle").await;
}
