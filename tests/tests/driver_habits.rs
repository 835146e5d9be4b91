//! What drivers and tools send of their own accord, and what they make of the answers: each by its own statements.

use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::{ACME, Setup, Stage, Wire};

const NAMES: &str = "SELECT name FROM users ORDER BY id";

async fn stages(servers: usize) -> Vec<Stage> {
    let mut stages = Vec::new();
    for strategy in STRATEGIES {
        stages.push(Stage::new(Setup::new().strategy(strategy).servers(servers)).await);
    }
    stages
}

/// Sends texts one by one; none may fail.
async fn all_go(wire: &mut Wire, texts: &[&str]) {
    for text in texts {
        let answer = wire.simple(text).await;
        assert_eq!(answer.fault(), None, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn psqlodbc_drops_statements_inside_of_a_savepoint() {
    for stage in stages(1).await {
        let mut wire = stage.wire("acme_corp").await;
        for _ in 0..3 {
            wire.simple("BEGIN").await;
            assert_eq!(wire.parse("a", NAMES).sync().answer().await.code(), "");
            assert_eq!(wire.bind("a", &[]).execute().sync().answer().await.column(), ACME);
            all_go(&mut wire, &["SAVEPOINT s; DEALLOCATE \"a\"; RELEASE s"]).await;
            assert_eq!(wire.bind("a", &[]).execute().sync().answer().await.code(), "26000");
            wire.simple("ROLLBACK").await;
            assert_eq!(wire.parse("a", NAMES).close("a").sync().answer().await.code(), "");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn npgsql_resets_a_connection() {
    for stage in stages(1).await {
        let mut wire = stage.wire("acme_corp").await;
        let reset = "SET SESSION AUTHORIZATION DEFAULT;RESET ALL;CLOSE ALL;UNLISTEN *;\
                     SELECT pg_advisory_unlock_all();DISCARD SEQUENCES;DISCARD TEMP";
        wire.simple("SET work_mem TO '1MB'").await;
        all_go(&mut wire, &[reset, "RESET SESSION AUTHORIZATION", "DISCARD ALL"]).await;
        assert_eq!(wire.simple("SHOW work_mem").await.value(), "4MB");
        assert_eq!(wire.simple(NAMES).await.column(), ACME);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_nothing_is_let_through() {
    for stage in stages(1).await {
        let mut wire = stage.wire("acme_corp").await;
        all_go(
            &mut wire,
            &[
                "SET ROLE 'app'",
                "SET ROLE app",
                "RESET ROLE",
                "SET ROLE NONE",
                "SET SESSION AUTHORIZATION app",
                "SET LOCAL ROLE app",
            ],
        )
        .await;
        assert_eq!(wire.simple("SET ROLE postgres").await.code(), "42501");
        assert_eq!(wire.simple("SET SESSION AUTHORIZATION postgres").await.code(), "42501");
        assert_eq!(wire.simple("SELECT set_config('role', 'app', false)").await.code(), "42501");
        // Flyway.
        let answer = wire.extended("SELECT set_config('search_path', $1, false)", &["acme_corp"]).await;
        assert_eq!(answer.fault(), None);
        assert_eq!(wire.simple(NAMES).await.column(), ACME);
        assert_eq!(wire.simple("SHOW search_path").await.value(), "acme_corp");
        let answer = wire.extended("SELECT set_config('search_path', $1, false)", &["globex"]).await;
        assert_eq!(answer.code(), "42501");
        assert_eq!(wire.simple(NAMES).await.column(), ACME);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partial_settings_hold_on_each_server() {
    for stage in stages(2).await {
        let mut wire = stage.wire("acme_corp").await;
        let shown = async |wire: &mut Wire, name: &str, holds: bool| {
            // Another client takes the server that was used last, so that the next is another.
            let mut other = stage.wire("globex").await;
            if holds {
                other.simple("BEGIN").await;
            }
            wire.simple(&format!("SHOW {name}")).await.value()
        };
        for (texts, name, value) in [
            (&["SET datestyle TO sql", "SET datestyle TO ymd"][..], "datestyle", "SQL, YMD"),
            (&["SET datestyle TO 'german'", "SET datestyle TO iso"], "datestyle", "ISO, DMY"),
            (&["SET TIME ZONE INTERVAL '-08:00' HOUR TO MINUTE"], "timezone", "<-08>+08"),
            (&["SET TIME ZONE -7.5"], "timezone", "<-07:30>+07:30"),
            (
                &["SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE"],
                "default_transaction_isolation",
                "serializable",
            ),
        ] {
            all_go(&mut wire, texts).await;
            for holds in [true, false, true] {
                assert_eq!(shown(&mut wire, name, holds).await, value, "{texts:?}");
            }
        }
    }
}
