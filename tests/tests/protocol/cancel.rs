//! A cancel request reaches the query that its client is running, and nothing else.

use pgstrata_tests::wire::CANCEL_REQUEST;
use pgstrata_tests::{ACME, GLOBEX, Setup, Stage, Wire};

const NAMES: &str = "SELECT name FROM users ORDER BY id";
const ENDLESS: &str = "SELECT name FROM users, pg_sleep(600)";
/// Long enough to be met while it runs.
const SLOW: &str = "SELECT name FROM users, pg_sleep(2)";

async fn stage() -> Stage {
    Stage::new(Setup::new().servers(1)).await
}

/// Returns once PostgreSQL runs the query, with the id of the process that does.
async fn running(stage: &Stage) -> i32 {
    let server = stage.superuser().await;
    let query = "SELECT pid FROM pg_stat_activity WHERE query LIKE '%pg_sleep(%' AND state = 'active' \
                 AND pid <> pg_backend_pid()";
    loop {
        if let Some(row) = server.query_opt(query, &[]).await.unwrap() {
            return row.get(0);
        }
    }
}

/// Sends the request, and returns once the other side has dealt with it and hung up.
async fn cancel(stage: &Stage, key: &[u8]) {
    let mut wire = Wire::connect(stage.port()).await;
    wire.packet(CANCEL_REQUEST, key).await;
    assert!(wire.receive().await.is_none(), "a cancel request has no answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn running_query_is_cancelled() {
    let stage = stage().await;
    let mut client = stage.wire("acme_corp").await;
    client.query(ENDLESS).flush().await;
    running(&stage).await;
    cancel(&stage, &client.key).await;
    let answer = client.until(b'Z').await;
    assert_eq!((answer.code().as_str(), answer.status()), ("57014", Some('I')));
    assert_eq!(client.simple(NAMES).await.column(), ACME);
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_keys_do_nothing() {
    let stage = stage().await;
    let mut client = stage.wire("acme_corp").await;
    client.query(SLOW).flush().await;
    let pid = running(&stage).await;
    let mut forged = client.key.to_vec();
    *forged.last_mut().unwrap() ^= 1;
    cancel(&stage, &forged).await;
    cancel(&stage, &[0; 8]).await;
    // PostgreSQL's own process with a key that is ours: no key at all.
    let mut mixed = pid.to_be_bytes().to_vec();
    mixed.extend(&client.key[4..]);
    cancel(&stage, &mixed).await;
    assert_eq!(client.until(b'Z').await.column().len(), ACME.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn key_of_a_finished_query_never_hits_the_next_client() {
    let stage = stage().await;
    let mut first = stage.wire("acme_corp").await;
    assert_eq!(first.simple(NAMES).await.column(), ACME);
    let mut second = stage.wire("globex").await;
    second.query(SLOW).flush().await;
    running(&stage).await;
    cancel(&stage, &first.key).await;
    assert_eq!(second.until(b'Z').await.column().len(), GLOBEX.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn late_cancels_never_hit_a_neighbour() {
    let stage = stage().await;
    let mut first = stage.wire("acme_corp").await;
    let mut second = stage.wire("globex").await;
    for _ in 0..50 {
        first.query(NAMES).flush().await;
        let key = first.key.clone();
        let (answer, ()) = tokio::join!(first.until(b'Z'), cancel(&stage, &key));
        assert!(["", "57014"].contains(&answer.code().as_str()), "{answer:?}");
        assert_eq!(second.simple(NAMES).await.column(), GLOBEX);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn request_that_waits_for_a_server_is_cancelled() {
    let stage = stage().await;
    let mut holder = stage.wire("globex").await;
    holder.simple("BEGIN").await;
    for begin in [false, true] {
        let mut client = stage.wire("acme_corp").await;
        match begin {
            false => _ = client.query(NAMES).flush().await,
            true => _ = client.parse("", NAMES).bind("", &[]).execute().sync().flush().await,
        }
        let waits = async { while stage.metric("pgstrata_clients_waiting").await < 1.0 {} };
        waits.await;
        cancel(&stage, &client.key).await;
        let answer = client.until(b'Z').await;
        assert_eq!((answer.code().as_str(), answer.status()), ("57014", Some('I')));
    }
    assert_eq!(holder.simple("COMMIT").await.code(), "");
    assert_eq!(stage.wire("acme_corp").await.simple(NAMES).await.column(), ACME);
}
