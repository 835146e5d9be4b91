//! Texts that are long, or made to cost as much as they can: they go through, or are refused, and others are served.

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::{ACME, GLOBEX, Setup, Stage, Wire};

/// What a text may have by default, in bytes, less what a message has beside it.
const LONGEST: usize = (64 << 20) - 64;

/// An `INSERT` of as many rows of constants as there is room for, as `pg_dump --rows-per-insert` writes them.
fn load(bytes: usize) -> (String, usize) {
    let (mut text, mut rows) = (String::with_capacity(bytes), 1);
    text.push_str("INSERT INTO load VALUES (0, 'first', NULL, true, -1.5)");
    let value = "it''s a value, ".repeat(40);
    while text.len() < bytes - 1000 {
        write!(text, ",\n\t({rows}, '{value}{rows}', NULL, false, -{rows}.25)").unwrap();
        rows += 1;
    }
    (text, rows)
}

async fn assert_loaded(wire: &mut Wire, rows: usize) {
    assert_eq!(wire.simple("SELECT count(*) FROM load").await.value(), rows.to_string());
    let last = format!("SELECT e FROM load WHERE a = {}", rows - 1);
    assert_eq!(wire.simple(&last).await.value(), format!("-{}.25", rows - 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn load_of_the_longest_text_goes_through() {
    let (text, rows) = load(LONGEST);
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy)).await;
        let mut wire = stage.wire("acme_corp").await;
        wire.simple("CREATE UNLOGGED TABLE load (a int, b text, c text, d bool, e numeric)").await;
        assert_eq!(wire.simple(&text).await.commands(), [format!("INSERT 0 {rows}")]);
        assert_loaded(&mut wire, rows).await;
        wire.simple("TRUNCATE load").await;
        assert_eq!(wire.extended(&text, &[]).await.commands(), [format!("INSERT 0 {rows}")]);
        assert_loaded(&mut wire, rows).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn others_are_served_while_a_long_text_is_judged() {
    let stage = Stage::new(Setup::new().line("limits", "threads = 1")).await;
    let (mut long, mut other) = (stage.wire("acme_corp").await, stage.wire("globex").await);
    // It is judged, and then refused: nothing of it is sent.
    let text = format!("SELECT 1{} FROM globex.users", ", a.b".repeat(120_000));
    let served = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&served);
    let others = tokio::spawn(async move {
        loop {
            assert_eq!(other.simple("SELECT 1").await.value(), "1");
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    while served.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    long.query(&text).flush().await;
    let before = served.load(Ordering::SeqCst);
    assert_eq!(long.until(b'Z').await.code(), "42501");
    let between = served.load(Ordering::SeqCst) - before;
    assert!(between >= 10, "others were served {between} times while the text was judged");
    others.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_of_a_tenant_that_floods_are_paced_while_others_are_active() {
    let stage = Stage::new(Setup::new()).await;
    let (mut flood, mut other) = (stage.wire("acme_corp").await, stage.wire("globex").await);
    // Each is judged for itself, and then refused: nothing of it is sent.
    let text = format!("SELECT 1{} FROM globex.users", ", a.b".repeat(16_000));
    let pauses = async || stage.metric("pgstrata_analysis_pauses_total").await;
    for _ in 0..10 {
        assert_eq!(flood.simple(&text).await.code(), "42501");
    }
    assert_eq!(pauses().await, 0.0, "a tenant that is alone has no pauses");
    for _ in 0..10 {
        assert_eq!(other.simple("SELECT 1").await.value(), "1");
        assert_eq!(flood.simple(&text).await.code(), "42501");
    }
    assert!(pauses().await >= 5.0, "{} pauses", pauses().await);
    let limited = "pgstrata_tenant_limited_total{database=\"app\",tenant=\"acme_corp\"}";
    assert_eq!(stage.metric(limited).await, pauses().await);
    // One that sends short texts has none.
    assert_eq!(other.simple("SELECT name FROM users ORDER BY id").await.column(), GLOBEX);
    assert_eq!(stage.metric("pgstrata_tenant_limited_total{database=\"app\",tenant=\"globex\"}").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn text_that_takes_too_much_is_refused_and_the_session_goes_on() {
    let stage = Stage::new(Setup::new()).await;
    let mut wire = stage.wire("acme_corp").await;
    for text in [
        format!("SELECT 1{}", ",a".repeat(300_000)),
        format!("SELECT {}1", "+".repeat(2000)),
        "SELECT 1;".repeat(100_001),
    ] {
        let refused = wire.simple(&text).await;
        assert_eq!((refused.code().as_str(), refused.status()), ("54001", Some('I')));
        assert_eq!(wire.extended(&text, &[]).await.code(), "54001");
        wire.simple("BEGIN").await;
        let refused = wire.simple(&text).await;
        assert_eq!((refused.code().as_str(), refused.status()), ("54001", Some('E')));
        wire.simple("ROLLBACK").await;
        assert_eq!(wire.simple("SELECT name FROM users ORDER BY id").await.column(), ACME);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_put_into_a_text_is_bounded() {
    let stage = Stage::new(Setup::new()).await;
    let mut wire = stage.wire("acme_corp").await;
    let path = vec!["acme_corp"; 1000].join(", ");
    assert_eq!(wire.simple(&format!("SET search_path TO {path}")).await.code(), "54000");
    let value = "x".repeat(2 << 20);
    assert_eq!(wire.simple(&format!("SET app.value = '{value}'")).await.code(), "53400");
    // An expression of some hundred bytes takes the place of each key.
    let locks = "SELECT pg_advisory_xact_lock(1);".repeat(90_000);
    assert_eq!(wire.simple(&locks).await.code(), "54001");
    assert_eq!(wire.simple("SELECT name FROM users ORDER BY id").await.column(), ACME);
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_of_many_statements_are_answered_one_by_one() {
    let stage = Stage::new(Setup::new()).await;
    let mut wire = stage.wire("acme_corp").await;
    let text =
        "SET app.a = 'x'; SELECT 1; COMMIT; LISTEN a; UNLISTEN a; SELECT count(*) FROM users;".repeat(2000);
    let answer = wire.simple(&text).await;
    assert_eq!((answer.code(), answer.commands().len(), answer.status()), (String::new(), 12_000, Some('I')));
    assert_eq!(answer.column().len(), 4000);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_text_is_judged_for_the_tenant_that_it_names() {
    let user = "name = 'switcher'\npassword = 'switcher'\ntenants = ['*']\ntenant_switch = true";
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy).user(user)).await;
        let option = [("options", "-ctenant=acme_corp")];
        let mut wire = Wire::login(stage.port(), "switcher", "switcher", &option).await.unwrap();
        let names = ", name".repeat(1600);
        let text = |front: &str| format!("{front}SELECT name{names} FROM users ORDER BY id");
        for _ in 0..2 {
            assert_eq!(wire.simple(&text("")).await.column(), ACME);
            assert_eq!(wire.extended(&text(""), &[]).await.column(), ACME);
            assert_eq!(wire.simple(&text("/*tenant='globex'*/ ")).await.column(), GLOBEX);
            assert_eq!(wire.extended(&text("/*tenant='globex'*/ "), &[]).await.column(), GLOBEX);
            assert_eq!(wire.simple(&text("SET tenant = 'globex'; ")).await.column(), GLOBEX);
            assert_eq!(wire.simple("RESET tenant").await.commands(), ["RESET"]);
        }
        // Prepared, and bound again when what it names has changed.
        wire.parse("long", &text("")).bind("long", &[]).execute().sync();
        assert_eq!(wire.answer().await.column(), ACME);
        wire.simple("CREATE TABLE another (a int)").await;
        wire.bind("long", &[]).execute().sync();
        assert_eq!(wire.answer().await.column(), ACME);
        // Two in one pipeline.
        wire.parse("", &text(""))
            .bind("", &[])
            .execute()
            .parse("", &text(" "))
            .bind("", &[])
            .execute()
            .sync();
        assert_eq!(wire.answer().await.column().len(), 2 * ACME.len());
    }
}
