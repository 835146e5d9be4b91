//! What ties a client to its server ends when its state is gone.

use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::stage::http;
use pgstrata_tests::{GLOBEX, Setup, Stage, Wire};

/// How many clients are tied now, for that reason.
async fn pinned(stage: &Stage, reason: &str) -> u64 {
    let metrics = http(stage.http_port(), "/metrics").await;
    let name = format!("pgstrata_clients_pinned{{reason=\"{reason}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or_default()
}

/// Another tenant's client gets the only server.
async fn is_free(stage: &Stage) {
    let mut other = stage.wire("globex").await;
    assert_eq!(other.simple("SELECT name FROM users ORDER BY id").await.column(), GLOBEX);
    assert_eq!(other.simple("SELECT count(*) FROM pg_class WHERE relpersistence = 't'").await.value(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn server_is_given_back_when_the_state_is_gone() {
    for strategy in STRATEGIES {
        let stage =
            Stage::new(Setup::new().strategy(strategy).servers(1).line("pool", "wait_timeout = '10s'")).await;
        let mut wire = stage.wire("acme_corp").await;
        for (reason, begin, end) in [
            ("temp_table", &["CREATE TEMP TABLE scratch (a int)"][..], &["DROP TABLE scratch"][..]),
            ("temp_table", &["CREATE TEMP TABLE scratch (a int)"], &["DISCARD TEMP"]),
            ("temp_table", &["BEGIN", "CREATE TEMP TABLE scratch (a int) ON COMMIT DROP"], &["COMMIT"]),
            ("temp_table", &["BEGIN", "CREATE TEMP TABLE scratch (a int)"], &["ROLLBACK"]),
            ("temp_table", &["BEGIN; CREATE TEMP TABLE scratch (a int)"], &["SELECT 1 / 0", "ROLLBACK"]),
            (
                "sql_prepare",
                &["PREPARE p AS SELECT 1", "PREPARE q AS SELECT 1"],
                &["DEALLOCATE p", "DEALLOCATE q"],
            ),
            ("sql_prepare", &["PREPARE p AS SELECT 1"], &["DEALLOCATE ALL"]),
            ("hold_cursor", &["DECLARE c CURSOR WITH HOLD FOR SELECT 1"], &["CLOSE c"]),
            ("hold_cursor", &["DECLARE c CURSOR WITH HOLD FOR SELECT 1"], &["CLOSE ALL"]),
            ("advisory_lock", &["SELECT pg_advisory_lock(1)"], &["SELECT pg_advisory_unlock(1)"]),
            (
                "advisory_lock",
                &["SELECT pg_advisory_lock(1), pg_advisory_lock(2)"],
                &["SELECT pg_advisory_unlock_all()"],
            ),
            (
                "sequence",
                &["SELECT nextval('users_id_seq'), currval('users_id_seq')"],
                &["DISCARD SEQUENCES"],
            ),
            ("temp_table", &["CREATE TEMP TABLE scratch (a int)", "PREPARE p AS SELECT 1"], &["DISCARD ALL"]),
        ] {
            for text in begin {
                assert_eq!(wire.simple(text).await.code(), "", "{text}");
            }
            assert_eq!(pinned(&stage, reason).await, 1, "{begin:?}");
            for text in end {
                wire.simple(text).await;
            }
            is_free(&stage).await;
            assert_eq!(pinned(&stage, reason).await, 0, "{end:?}");
        }
        // What did not come about ties nobody either.
        for text in
            ["CREATE TEMP TABLE scratch (a nothing)", "SELECT pg_try_advisory_lock(1) FROM users WHERE false"]
        {
            wire.simple(text).await;
            is_free(&stage).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn state_stays_as_long_as_it_is_needed() {
    let stage = Stage::new(Setup::new()).await;
    let mut wire = stage.wire("acme_corp").await;
    wire.simple("CREATE TEMP TABLE users (name text); INSERT INTO users VALUES ('mine')").await;
    wire.simple("PREPARE p AS SELECT name FROM users").await;
    for text in
        ["DEALLOCATE ALL", "SELECT 1 / 0", "DROP TABLE missing", "BEGIN", "DROP TABLE users", "ROLLBACK"]
    {
        wire.simple(text).await;
    }
    assert_eq!(wire.simple("SELECT name FROM users").await.value(), "mine", "it shadows the tenant's table");
    wire.simple("DROP TABLE users").await;
    assert_eq!(wire.simple("SELECT count(*) FROM users").await.value(), "3");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_too_many_is_refused() {
    let stage = Stage::new(Setup::new().servers(3).line("pool", "max_pinned = 1")).await;
    let (mut first, mut second) = (stage.wire("acme_corp").await, stage.wire("globex").await);
    let mut prepared = stage.wire("globex").await;
    assert_eq!(prepared.parse("lock", "SELECT pg_advisory_lock(1)").sync().answer().await.code(), "");
    first.simple("CREATE TEMP TABLE scratch (a int)").await;
    for text in ["CREATE TEMP TABLE scratch (a int)", "PREPARE p AS SELECT 1"] {
        let fault = second.simple(text).await.fault().unwrap();
        assert_eq!(fault.code, "53400", "{text}");
        assert!(fault.message.contains("max_pinned is 1"), "{fault:?}");
    }
    assert_eq!(second.extended("CREATE TEMP TABLE scratch (a int)", &[]).await.code(), "53400");
    // Nor when it was prepared while there was room.
    assert_eq!(prepared.bind("lock", &[]).execute().sync().answer().await.code(), "53400");
    assert_eq!(second.simple("SELECT count(*) FROM users").await.value(), "2");
    first.simple("DROP TABLE scratch").await;
    assert_eq!(first.simple("SELECT 1").await.value(), "1");
    assert_eq!(second.simple("CREATE TEMP TABLE scratch (a int)").await.code(), "");
    // A client that leaves counts no more.
    drop(second);
    while pinned(&stage, "temp_table").await > 0 {}
    assert_eq!(first.simple("CREATE TEMP TABLE scratch (a int)").await.code(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn sequences_tell_a_client_of_its_own_draws_only() {
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy).servers(1)).await;
        let insert = "INSERT INTO users (name, email) VALUES ('x', gen_random_uuid()::text)";
        let (mut mine, mut theirs) = (stage.wire("acme_corp").await, stage.wire("globex").await);
        let mut colleague = stage.wire("acme_corp").await;
        for wire in [&mut theirs, &mut colleague] {
            assert_eq!(wire.simple(insert).await.code(), "");
        }
        let fault = mine.simple("SELECT lastval()").await.fault().unwrap();
        assert_eq!(fault.code, "55000");
        assert!(fault.hint.is_some_and(|hint| hint.contains("RETURNING")));
        mine.simple("DISCARD SEQUENCES").await;
        theirs.simple(insert).await;
        assert_eq!(mine.simple("SELECT currval('users_id_seq')").await.code(), "55000");
        mine.simple("DISCARD ALL").await;
        theirs.simple(insert).await;
        // In one transaction it is as PostgreSQL has it, on whichever server.
        mine.simple("BEGIN").await;
        mine.simple(insert).await;
        let last = mine.simple("SELECT max(id) FROM users").await.value();
        assert_eq!(mine.simple("SELECT lastval()").await.value(), last);
        assert_eq!(
            mine.extended("SELECT currval(pg_get_serial_sequence('users', 'id'))", &[]).await.value(),
            last
        );
        mine.simple("COMMIT").await;
        // From then on it is so for the session.
        assert_eq!(mine.simple("SELECT lastval()").await.value(), last);
    }
}

/// A failed transaction ends, and in the same text or pipeline its client asks.
#[tokio::test(flavor = "multi_thread")]
async fn sequences_of_others_behind_a_failed_transaction() {
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy).servers(1)).await;
        let insert = "INSERT INTO users (name, email) VALUES ('x', gen_random_uuid()::text)";
        let (mut mine, mut theirs) = (stage.wire("acme_corp").await, stage.wire("globex").await);
        for ask in ["lastval()", "currval('users_id_seq')"] {
            for pipelined in [false, true] {
                mine.simple("DISCARD ALL").await;
                theirs.simple(insert).await;
                mine.simple("BEGIN").await;
                mine.simple("SELECT 1 / 0").await;
                let answer = if pipelined {
                    mine.parse("", "ROLLBACK").bind("", &[]).execute();
                    mine.parse("", &format!("SELECT {ask}")).bind("", &[]).execute().sync().answer().await
                } else {
                    mine.simple(&format!("ROLLBACK; SELECT {ask}")).await
                };
                assert_eq!(answer.code(), "55000", "{ask}, {answer:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn user_may_have_sessions_of_its_own() {
    let user = "name = 'tools'\npassword = 'tools'\ntenants = ['*']\npool_mode = 'session'";
    let stage = Stage::new(Setup::new().user(user)).await;
    let mut tools =
        Wire::login(stage.port(), "tools", "tools", &[("options", "-ctenant=acme_corp")]).await.unwrap();
    let insert = "INSERT INTO users (name, email) VALUES ('x', gen_random_uuid()::text)";
    tools.simple(insert).await;
    for _ in 0..5 {
        stage.wire("globex").await.simple(insert).await;
    }
    assert_eq!(tools.simple("SELECT lastval()").await.code(), "");
    assert_eq!(pinned(&stage, "session_pooling").await, 0, "that is no state");
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_in_sql_and_run_under_another_path() {
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy)).await;
        let mut wire = stage.wire("acme_corp").await;
        wire.simple("PREPARE reads AS SELECT count(*) FROM pg_catalog.pg_class WHERE oid = 1259").await;
        wire.simple("SET search_path TO ''").await;
        assert_eq!(wire.simple("EXECUTE reads").await.value(), "1");
        wire.simple("RESET search_path").await;
        // One that writes might write to a shared table of that name.
        wire.simple("PREPARE writes AS DELETE FROM users").await;
        wire.simple("SET search_path TO public").await;
        assert_eq!(wire.simple("EXECUTE writes").await.code(), "42501");
        wire.simple("DEALLOCATE ALL").await;
        wire.simple("PREPARE reads AS SELECT 1").await;
        assert_eq!(wire.simple("EXECUTE reads").await.value(), "1");
    }
}
