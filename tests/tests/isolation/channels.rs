//! `LISTEN` and `NOTIFY` over servers that others use too: each tenant has channels of its own.

use std::time::Duration;

use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::{Setup, Stage, Wire};
use tokio::time::timeout;

/// What has been notified in an answer: channel and payload.
fn heard(messages: &[pgstrata_tests::answer::Message]) -> Vec<(String, String)> {
    let of = |message: &pgstrata_tests::answer::Message| {
        let mut texts = message.body[4..].split(|byte| *byte == 0).map(String::from_utf8_lossy);
        (texts.next().unwrap().into_owned(), texts.next().unwrap().into_owned())
    };
    messages.iter().filter(|message| message.tag == b'A').map(of).collect()
}

async fn next(wire: &mut Wire) -> (String, String) {
    let answer = timeout(Duration::from_secs(20), wire.until(b'A')).await.expect("a notification");
    heard(&answer.messages).pop().unwrap()
}

fn pair(channel: &str, payload: &str) -> (String, String) {
    (channel.to_owned(), payload.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn notifications_reach_their_tenant_and_no_other() {
    for strategy in STRATEGIES {
        // More listen than there are servers.
        let stage = Stage::new(Setup::new().strategy(strategy).servers(1)).await;
        let mut mine = Vec::new();
        for _ in 0..4 {
            let mut wire = stage.wire("acme_corp").await;
            assert_eq!(wire.simple("LISTEN Orders").await.commands(), ["LISTEN"]);
            mine.push(wire);
        }
        let mut theirs = stage.wire("globex").await;
        theirs.parse("", "listen orders").describe("").bind("", &[]).execute().sync();
        assert_eq!(theirs.answer().await.commands(), ["LISTEN"]);

        let mut sender = stage.wire("acme_corp").await;
        assert_eq!(sender.simple("NOTIFY orders, 'one'").await.commands(), ["NOTIFY"]);
        sender.extended("SELECT pg_notify($1, $2)", &["orders", "two"]).await;
        let mut other = stage.wire("globex").await;
        other.simple("NOTIFY orders, 'theirs'").await;
        for wire in &mut mine {
            assert_eq!(next(wire).await, pair("orders", "one"));
            assert_eq!(next(wire).await, pair("orders", "two"));
        }
        assert_eq!(next(&mut theirs).await, pair("orders", "theirs"));
        for wire in &mut mine {
            assert_eq!(heard(&wire.simple("SELECT 1").await.messages), []);
        }
        // Past the proxy the channel has the schema in front.
        let server = stage.superuser().await;
        server
            .batch_execute("SELECT pg_notify('acme_corp.orders', 'past'), pg_notify('orders', 'nobody')")
            .await
            .unwrap();
        for wire in &mut mine {
            assert_eq!(next(wire).await, pair("orders", "past"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn own_notification_comes_with_the_answer() {
    let stage = Stage::new(Setup::new()).await;
    let mut wire = stage.wire("acme_corp").await;
    wire.simple("LISTEN a").await;
    let answer = wire.simple("NOTIFY a, 'x'").await;
    assert_eq!(heard(&answer.messages), [pair("a", "x")]);
    assert_eq!(answer.tags(), "CAZ");
    let sender = &answer.messages.iter().find(|message| message.tag == b'A').unwrap().body[..4];
    assert_eq!(sender, &wire.key[..4], "a client knows itself by the process id of its login");
    let answer = wire.extended("SELECT pg_notify('a', $1)", &["y"]).await;
    assert_eq!(heard(&answer.messages), [pair("a", "y")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn listening_begins_and_ends_with_its_transaction() {
    let stage = Stage::new(Setup::new()).await;
    let mut wire = stage.wire("acme_corp").await;
    wire.simple("BEGIN; LISTEN rolled_back").await;
    wire.simple("ROLLBACK").await;
    wire.simple("BEGIN").await;
    wire.simple("LISTEN a").await;
    wire.simple("LISTEN b").await;
    wire.simple("COMMIT").await;
    wire.simple("LISTEN c; SELECT 1 / 0").await;
    let mut sender = stage.wire("acme_corp").await;
    for channel in ["rolled_back", "c", "a", "b"] {
        sender.simple(&format!("NOTIFY {channel}")).await;
    }
    assert_eq!(next(&mut wire).await, pair("a", ""));
    assert_eq!(next(&mut wire).await, pair("b", ""));
    // In a transaction nothing is told before its end.
    wire.simple("BEGIN").await;
    sender.simple("NOTIFY a, 'later'").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(heard(&wire.simple("SELECT 1").await.messages), []);
    wire.simple("COMMIT").await;
    assert_eq!(next(&mut wire).await, pair("a", "later"));
    wire.simple("UNLISTEN a").await;
    sender.simple("NOTIFY a; NOTIFY b, 'still'").await;
    assert_eq!(next(&mut wire).await, pair("b", "still"));
    wire.simple("DISCARD ALL").await;
    sender.simple("NOTIFY b, 'no more'").await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(heard(&wire.simple("SELECT 1").await.messages), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn channel_is_that_of_the_tenant_that_listened() {
    let stage = Stage::new(Setup::new().tenant_switch()).await;
    let mut wire = stage.wire("acme_corp").await;
    for text in ["BEGIN", "SET LOCAL tenant = 'globex'", "LISTEN orders", "COMMIT"] {
        wire.parse("", text).bind("", &[]).execute();
    }
    assert_eq!(wire.sync().answer().await.commands(), ["BEGIN", "SET", "LISTEN", "COMMIT"]);
    stage.wire("acme_corp").await.simple("NOTIFY orders, 'mine'").await;
    stage.wire("globex").await.simple("NOTIFY orders, 'theirs'").await;
    assert_eq!(next(&mut wire).await, pair("orders", "theirs"));
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_are_all_heard() {
    let stage = Stage::new(Setup::new()).await;
    let mut wire = stage.wire("acme_corp").await;
    wire.simple("LISTEN x").await;
    let many = "SELECT count(pg_notify('x', i::text)) FROM generate_series(1, 10000) i";
    assert_eq!(heard(&wire.simple(many).await.messages).len(), 10_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_connection_ends_those_who_listened() {
    let stage = Stage::new(Setup::new()).await;
    let mut wire = stage.wire("acme_corp").await;
    wire.simple("LISTEN a").await;
    let mut deaf = stage.wire("acme_corp").await;
    let server = stage.superuser().await;
    let kill =
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pgstrata channels'";
    server.execute(kill, &[]).await.unwrap();
    let end = wire.until(b'Z').await;
    assert_eq!((end.code().as_str(), end.status()), ("08006", None));
    // The others go on, and may listen again.
    assert_eq!(deaf.simple("LISTEN a").await.commands(), ["LISTEN"]);
    deaf.simple("NOTIFY a, 'again'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_are_used_as_configured() {
    let stage = Stage::new(Setup::new().line("tenancy", "channels = 'shared'")).await;
    let (mut mine, mut theirs) = (stage.wire("acme_corp").await, stage.wire("globex").await);
    mine.simple("LISTEN a").await;
    theirs.simple("NOTIFY a, 'from globex'").await;
    assert_eq!(next(&mut mine).await, pair("a", "from globex"));
    let stage = Stage::new(Setup::new().line("tenancy", "channels = 'refuse'")).await;
    let mut wire = stage.wire("acme_corp").await;
    for text in ["LISTEN a", "NOTIFY a", "SELECT pg_notify('a', 'b')"] {
        assert_eq!(wire.simple(text).await.code(), "42501", "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_numbers_are_bounded() {
    let stage = Stage::new(Setup::new()).await;
    let mut wire = stage.wire("acme_corp").await;
    assert_eq!(wire.simple(&format!("NOTIFY {}", "n".repeat(60))).await.code(), "22023");
    assert_eq!(wire.simple(&format!("LISTEN {}", "n".repeat(60))).await.code(), "22023");
    let many: String = (0..1001).map(|n| format!("LISTEN c{n};")).collect();
    assert_eq!(wire.simple(&many).await.code(), "53400");
    let some: String = (0..1000).map(|n| format!("LISTEN c{n};")).collect();
    assert_eq!(wire.simple(&some).await.code(), "");
    assert_eq!(wire.simple("LISTEN one_more").await.code(), "53400");
    assert_eq!(heard(&wire.simple("NOTIFY c999, 'x'").await.messages), [pair("c999", "x")]);
    assert_eq!(wire.simple("UNLISTEN *").await.code(), "");
    assert_eq!(wire.simple("LISTEN a; UNLISTEN a; LISTEN a; LISTEN b; UNLISTEN b").await.code(), "");
    assert_eq!(
        heard(&wire.simple("NOTIFY b; NOTIFY a").await.messages),
        [pair("a", "")],
        "the last wish counts"
    );
}
