//! A client goes, in whatever state it is: the next one on its server finds nothing of it.

use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::stage::tenant_option;
use pgstrata_tests::{GLOBEX, Setup, Stage, Wire};

const NAMES: &str = "SELECT name FROM users ORDER BY id";

/// One server: the next client gets what the last one left.
async fn one_server() -> [Stage; 2] {
    let [first, second] = STRATEGIES.map(|strategy| Setup::new().strategy(strategy).servers(1));
    [Stage::new(first).await, Stage::new(second).await]
}

/// What a client of another tenant sees on that server.
async fn next_client_finds_it_clean(stage: &Stage) {
    let mut next = stage.wire("globex").await;
    let answer = next.simple(NAMES).await;
    assert_eq!(answer.column(), GLOBEX);
    assert_eq!(answer.status(), Some('I'));
    assert_eq!(next.simple("SELECT current_schema()").await.value(), "globex");
    assert_eq!(next.simple("EXECUTE mine").await.code(), "26000");
    assert_eq!(next.simple("FETCH held").await.code(), "34000");
    let server = stage.superuser().await;
    // A server that was closed gives its locks and tables back a moment later.
    for query in [
        "SELECT count(*) FROM pg_class WHERE relpersistence = 't'",
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'",
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND state = 'active' \
         AND pid <> pg_backend_pid()",
    ] {
        while server.query_one(query, &[]).await.unwrap().get::<_, i64>(0) > 0 {}
    }
    assert_eq!(acme_users(stage).await, 3, "nothing of the killed client was committed");
}

async fn acme_users(stage: &Stage) -> i64 {
    let server = stage.superuser().await;
    server.query_one("SELECT count(*) FROM acme_corp.users", &[]).await.unwrap().get(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_a_transaction() {
    for stage in one_server().await {
        let mut killed = stage.wire("acme_corp").await;
        killed.simple("BEGIN").await;
        let insert = killed.simple("INSERT INTO users (name, email) VALUES ('x', 'x')").await;
        assert_eq!(insert.status(), Some('T'));
        drop(killed);
        next_client_finds_it_clean(&stage).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_a_failed_transaction() {
    for stage in one_server().await {
        let mut killed = stage.wire("acme_corp").await;
        killed.simple("BEGIN").await;
        assert_eq!(killed.simple("SELECT 1 / 0").await.status(), Some('E'));
        drop(killed);
        next_client_finds_it_clean(&stage).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_copy_in() {
    for stage in one_server().await {
        let mut killed = stage.wire("acme_corp").await;
        killed.query("COPY users (name, email) FROM STDIN").flush().await;
        killed.until(b'G').await;
        killed.copy_data("x\tx@example.com\n").flush().await;
        drop(killed);
        next_client_finds_it_clean(&stage).await;
    }
}

/// PostgreSQL waits for the data, whoever has said goodbye.
#[tokio::test(flavor = "multi_thread")]
async fn goodbye_in_copy_in() {
    for stage in one_server().await {
        for told_first in [true, false] {
            let mut leaving = stage.wire("acme_corp").await;
            leaving.query("COPY users (name, email) FROM STDIN");
            if told_first {
                leaving.flush().await;
                leaving.until(b'G').await;
            }
            leaving.copy_data("x\tx@example.com\n").terminate().flush().await;
            next_client_finds_it_clean(&stage).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_the_middle_of_a_copy_message() {
    for stage in one_server().await {
        let mut killed = stage.wire("acme_corp").await;
        killed.query("COPY users (name, email) FROM STDIN").flush().await;
        killed.until(b'G').await;
        killed.raw(b"d\0\0\x10\0x\tx@exam").await;
        drop(killed);
        next_client_finds_it_clean(&stage).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_copy_out() {
    for stage in one_server().await {
        let mut killed = stage.wire("acme_corp").await;
        killed
            .query("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 100000)) TO STDOUT")
            .flush()
            .await;
        killed.until(b'H').await;
        killed.until(b'd').await;
        drop(killed);
        next_client_finds_it_clean(&stage).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_in_a_pipeline() {
    for stage in one_server().await {
        let mut killed = stage.wire("acme_corp").await;
        killed.parse("mine", NAMES).bind("mine", &[]).execute();
        killed.parse("", "INSERT INTO users (name, email) VALUES ('x', 'x')").bind("", &[]).execute();
        killed.message(b'H', b"").flush().await;
        killed.until(b'D').await;
        drop(killed);
        next_client_finds_it_clean(&stage).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_with_a_query_running() {
    for stage in one_server().await {
        let mut killed = stage.wire("acme_corp").await;
        killed.query("SELECT name FROM users, pg_sleep(600)").flush().await;
        let running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND state = 'active' \
                       AND pid <> pg_backend_pid()";
        let server = stage.superuser().await;
        while server.query_one(running, &[]).await.unwrap().get::<_, i64>(0) == 0 {}
        drop(killed);
        next_client_finds_it_clean(&stage).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn session_state_goes_with_its_client() {
    let state = [
        "CREATE TEMPORARY TABLE scratch (id integer)",
        "SELECT pg_advisory_lock(42)",
        "PREPARE mine AS SELECT 1",
        "BEGIN; DECLARE held CURSOR WITH HOLD FOR SELECT name FROM users; COMMIT",
    ];
    for statement in state {
        for stage in one_server().await {
            let mut first = stage.wire("acme_corp").await;
            assert_eq!(first.simple(statement).await.fault(), None, "{statement}");
            drop(first);
            next_client_finds_it_clean(&stage).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_stay_with_their_client() {
    let settings = [
        ("statement_timeout", "12345ms"),
        ("application_name", "first"),
        ("timezone", "Asia/Tokyo"),
        ("datestyle", "German, DMY"),
        ("work_mem", "1234kB"),
    ];
    for (name, value) in settings {
        for stage in one_server().await {
            let (mut first, mut second) = (stage.wire("acme_corp").await, stage.wire("globex").await);
            let show = format!("SHOW {name}");
            let usual = second.simple(&show).await.value();
            assert_eq!(first.simple(&format!("SET {name} = '{value}'")).await.fault(), None);
            for _ in 0..3 {
                assert_eq!(first.simple(&show).await.value(), value, "{name} of the client that set it");
                assert_eq!(second.simple(&show).await.value(), usual, "{name} of another client");
            }
            first.simple(&format!("RESET {name}")).await;
            assert_eq!(first.simple(&show).await.value(), usual, "{name} after RESET");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn startup_settings_stay_with_their_client() {
    for stage in one_server().await {
        let option = format!("{} -c statement_timeout=12345", tenant_option("acme_corp"));
        let parameters =
            [("options", option.as_str()), ("TimeZone", "Asia/Tokyo"), ("application_name", "first")];
        let mut first = Wire::login(stage.port(), "app", "app", &parameters).await.unwrap();
        let mut second = stage.wire("globex").await;
        for _ in 0..3 {
            assert_eq!(first.simple("SHOW statement_timeout").await.value(), "12345ms");
            assert_eq!(first.simple("SHOW timezone").await.value(), "Asia/Tokyo");
            assert_eq!(first.simple("SHOW application_name").await.value(), "first");
            assert_eq!(second.simple("SHOW statement_timeout").await.value(), "0");
            assert_ne!(second.simple("SHOW timezone").await.value(), "Asia/Tokyo");
            assert_ne!(second.simple("SHOW application_name").await.value(), "first");
        }
        // RESET goes back to what the start-up packet said, as PostgreSQL has it.
        first.simple("SET timezone = 'UTC'").await;
        first.simple("RESET timezone").await;
        assert_eq!(first.simple("SHOW timezone").await.value(), "Asia/Tokyo");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn set_in_a_transaction_that_fails_is_undone() {
    for stage in one_server().await {
        let mut client = stage.wire("acme_corp").await;
        client.simple("BEGIN").await;
        client.simple("SET statement_timeout = '12345ms'").await;
        client.simple("ROLLBACK").await;
        assert_eq!(client.simple("SHOW statement_timeout").await.value(), "0");
        client.simple("BEGIN").await;
        client.simple("SET LOCAL statement_timeout = '12345ms'").await;
        assert_eq!(client.simple("SHOW statement_timeout").await.value(), "12345ms");
        client.simple("COMMIT").await;
        assert_eq!(client.simple("SHOW statement_timeout").await.value(), "0");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reset_all_and_discard_all_keep_the_tenant() {
    for stage in one_server().await {
        let mut client = stage.wire("globex").await;
        for statement in ["RESET ALL", "RESET search_path", "DISCARD ALL"] {
            assert_eq!(client.simple(statement).await.fault(), None, "{statement}");
            assert_eq!(client.simple(NAMES).await.column(), GLOBEX, "after {statement}");
        }
    }
}
