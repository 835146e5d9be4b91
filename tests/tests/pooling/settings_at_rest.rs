//! What a client sets acts on nobody else: not on the server while it is idle, nor on what cleans it, nor on the
//! first statement of the next client.

use std::time::Duration;

use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::stage::tenant_option;
use pgstrata_tests::{Setup, Stage, Wire, neutral};
use tokio::time::{sleep, timeout};

/// Time for a time-out of a millisecond to act.
const A_MOMENT: Duration = Duration::from_millis(30);

/// What PostgreSQL 15 has of settings that could act on others.
const ACTING: &[(&str, &str)] = &[
    ("default_transaction_isolation", "serializable"),
    ("default_transaction_read_only", "on"),
    ("default_transaction_deferrable", "on"),
    ("idle_session_timeout", "1ms"),
    ("statement_timeout", "1ms"),
    ("lock_timeout", "1ms"),
    ("idle_in_transaction_session_timeout", "1ms"),
    ("client_encoding", "LATIN1"),
    ("client_min_messages", "error"),
    ("check_function_bodies", "off"),
    ("row_security", "off"),
    ("default_table_access_method", "heap"),
    ("default_tablespace", "pg_default"),
    ("temp_tablespaces", "pg_default"),
    ("synchronous_commit", "off"),
    ("force_parallel_mode", "on"),
    ("tcp_user_timeout", "1"),
    ("transform_null_equals", "on"),
    ("quote_all_identifiers", "on"),
    ("datestyle", "German, DMY"),
    ("timezone", "Asia/Tokyo"),
    ("vacuum_cost_delay", "100"),
    ("statement_timeout", "20s"),
    ("app.user_id", "x"),
    ("plan_cache_mode", "force_generic_plan"),
];

/// Messages that run a portal.
type Run = fn(&mut Wire);

/// One server, so that the next client gets it.
async fn stages() -> Vec<Stage> {
    let mut stages = Vec::new();
    for strategy in STRATEGIES {
        let setup = Setup::new().line("tenancy", "time_limits = 'free'").strategy(strategy).servers(1);
        stages.push(Stage::new(setup).await);
    }
    stages
}

/// A transaction that a `SERIALIZABLE READ ONLY DEFERRABLE` one would wait for.
async fn serializable_writer(stage: &Stage) -> Wire {
    let mut writer = neutral::direct(stage, "globex").await;
    writer.simple("BEGIN ISOLATION LEVEL SERIALIZABLE").await;
    let answer = writer.simple("UPDATE posts SET title = title").await;
    assert_eq!(answer.status(), Some('T'));
    writer
}

/// Nothing of the clients before is to be found, with and without a pause.
async fn is_clean(stage: &Stage, what: &str) {
    for _ in 0..2 {
        assert_eq!(neutral::differences(stage, "globex").await, [""; 0], "{what}");
        sleep(A_MOMENT).await;
    }
}

fn set(name: &str, value: &str) -> String {
    format!("SET {name} = '{value}'")
}

/// PostgreSQL refuses to change `temp_buffers` in a session that has used temporary tables, whoever used them.
#[tokio::test(flavor = "multi_thread")]
async fn temporary_tables_of_others_leave_temp_buffers_free() {
    let temporary = "CREATE TEMP TABLE t (n int); INSERT INTO t VALUES (1); DROP TABLE t";
    for stage in stages().await {
        let mut other = stage.wire("globex").await;
        let mut client = stage.wire("acme_corp").await;
        for extended in [false, true] {
            other.simple(temporary).await;
            let set = if extended { "SET temp_buffers = 200" } else { "SET temp_buffers = 100" };
            let answer = if extended { client.extended(set, &[]).await } else { client.simple(set).await };
            assert_eq!(answer.code(), "", "{set}: {answer:?}");
            // The setting follows to a server on which others had temporary tables since.
            for _ in 0..2 {
                other.simple(temporary).await;
                let shown = client.simple("SHOW temp_buffers").await;
                assert_eq!(shown.column(), [if extended { "1600kB" } else { "800kB" }], "{shown:?}");
            }
            assert_eq!(other.simple("SHOW temp_buffers").await.column(), ["8MB"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_setting_by_each_statement_that_sets() {
    for stage in stages().await {
        let _writer = serializable_writer(&stage).await;
        let mut wire = stage.wire("acme_corp").await;
        for (name, value) in ACTING {
            let call = format!("SELECT set_config('{name}', '{value}', false)");
            let prepared = format!("SELECT set_config('{name}', $1, false)");
            let block = format!("BEGIN; {}; COMMIT", set(name, value));
            for simple in [&set(name, value), &call, &block] {
                let answer = wire.simple(simple).await;
                // Not one of this version's.
                if answer.code() == "42704" {
                    wire.simple("ROLLBACK").await;
                    continue;
                }
                assert_eq!(answer.code(), "", "{simple}");
                is_clean(&stage, simple).await;
                wire.simple(&format!("RESET {name}")).await;
            }
            for (text, values) in [(&set(name, value), &[][..]), (&call, &[]), (&prepared, &[*value])] {
                wire.extended(text, values).await;
                is_clean(&stage, text).await;
                wire.simple(&format!("RESET {name}")).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_of_them_at_once_and_the_server_goes_on() {
    for stage in stages().await {
        let _writer = serializable_writer(&stage).await;
        let before = neutral::pid(&stage, "globex").await;
        let mut wire = stage.wire("acme_corp").await;
        for (name, value) in ACTING.iter().filter(|(name, _)| !name.ends_with("_timeout")) {
            wire.simple(&set(name, value)).await;
            // A query would wait for the writer, as its client has asked for.
            wire.simple("SHOW work_mem").await;
            is_clean(&stage, name).await;
        }
        let isolation =
            "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE";
        wire.simple(isolation).await;
        is_clean(&stage, isolation).await;
        assert_eq!(wire.simple("SHOW transaction_read_only").await.value(), "on");
        assert_eq!(wire.simple("SHOW synchronous_commit").await.value(), "off");
        is_clean(&stage, "all").await;
        assert_eq!(
            neutral::pid(&stage, "globex").await,
            before,
            "a server that can be cleaned is not closed"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_of_the_startup_packet() {
    for stage in stages().await {
        let _writer = serializable_writer(&stage).await;
        for (name, value) in ACTING {
            let option = format!("{} -c {name}={}", tenant_option("acme_corp"), value.replace(' ', "\\ "));
            let login = Wire::login(stage.port(), "app", "app", &[("options", &option)]).await;
            if let Ok(mut wire) = login {
                is_clean(&stage, &option).await;
                wire.simple("SELECT count(*) FROM users").await;
            }
            is_clean(&stage, &option).await;
        }
    }
}

/// Code in the database that sets what it likes: nobody sees it in a text.
#[tokio::test(flavor = "multi_thread")]
async fn settings_of_functions() {
    for stage in stages().await {
        let _writer = serializable_writer(&stage).await;
        let server = stage.superuser().await;
        let code = "CREATE FUNCTION acme_corp.sets(text, text) RETURNS text LANGUAGE sql AS \
                    $$ SELECT set_config($1, $2, false) $$; \
                    CREATE PROCEDURE acme_corp.sets_and_commits(n text, v text) LANGUAGE plpgsql AS \
                    $$ BEGIN PERFORM set_config(n, v, false); COMMIT; PERFORM set_config('work_mem', '1MB', false); END $$; \
                    GRANT EXECUTE ON ALL ROUTINES IN SCHEMA acme_corp TO PUBLIC";
        server.batch_execute(code).await.unwrap();
        for (name, value) in ACTING {
            for text in [
                format!("SELECT sets('{name}', '{value}')"),
                format!("BEGIN; SELECT sets('{name}', '{value}'); COMMIT"),
                format!("SELECT count(sets('{name}', '{value}')) FROM users"),
                format!("CALL sets_and_commits('{name}', '{value}')"),
            ] {
                let mut wire = stage.wire("acme_corp").await;
                if wire.simple(&text).await.status() == Some('E') {
                    wire.simple("ROLLBACK").await;
                }
                is_clean(&stage, &text).await;
                if !text.contains(';') {
                    stage.wire("acme_corp").await.extended(&text, &[]).await;
                    is_clean(&stage, &text).await;
                }
            }
        }
    }
}

/// What runs later than it is written.
#[tokio::test(flavor = "multi_thread")]
async fn settings_behind_the_back() {
    for stage in stages().await {
        for (name, value) in [("statement_timeout", "1ms"), ("default_transaction_read_only", "on")] {
            let call = format!("SELECT set_config('{name}', '{value}', false)");
            let scripts = [
                vec![format!("PREPARE p AS {call}"), "EXECUTE p".into(), "DEALLOCATE p".into()],
                vec![
                    format!("DECLARE c CURSOR WITH HOLD FOR {call}"),
                    "FETCH ALL FROM c".into(),
                    "CLOSE c".into(),
                ],
                vec![
                    "BEGIN".into(),
                    format!("DECLARE c CURSOR FOR {call}"),
                    "FETCH ALL FROM c".into(),
                    "COMMIT".into(),
                ],
                vec![format!("{} INTO TEMP TABLE t", call), "DROP TABLE t".into()],
                vec![format!("CREATE TEMP TABLE t AS {call}"), "DROP TABLE t".into()],
                vec![format!("COPY ({call}) TO STDOUT")],
                vec![format!("EXPLAIN ANALYZE {call}")],
                vec![format!("SELECT 1 FROM users WHERE ({call}) IS NULL")],
                vec![
                    "BEGIN".into(),
                    set(name, value),
                    "SAVEPOINT s".into(),
                    format!("RESET {name}"),
                    "ROLLBACK TO s".into(),
                    "COMMIT".into(),
                ],
                vec![
                    "BEGIN".into(),
                    "SAVEPOINT s".into(),
                    set(name, value),
                    "RELEASE s".into(),
                    "COMMIT".into(),
                ],
                vec![
                    "BEGIN".into(),
                    set(name, value),
                    format!("SET LOCAL {name} TO DEFAULT"),
                    "COMMIT".into(),
                ],
                vec![
                    "BEGIN".into(),
                    set(name, value),
                    "COMMIT AND CHAIN".into(),
                    format!("RESET {name}"),
                    "ROLLBACK".into(),
                ],
                vec![format!("{}; BEGIN; RESET {name}; ROLLBACK", set(name, value))],
                vec![
                    "BEGIN".into(),
                    set(name, value),
                    "SAVEPOINT s".into(),
                    "SELECT 1/0".into(),
                    "ROLLBACK TO s".into(),
                    "COMMIT".into(),
                ],
            ];
            for script in scripts {
                // By one that goes on, and by one that leaves.
                for stays in [true, false] {
                    let mut wire = stage.wire("acme_corp").await;
                    for text in &script {
                        wire.simple(text).await;
                    }
                    let kept = stays.then_some(wire);
                    // One that is tied to its server keeps it.
                    if let Some(mut wire) = kept {
                        wire.simple("DISCARD ALL").await;
                        drop(wire);
                    }
                    is_clean(&stage, &format!("{script:?}, stays: {stays}")).await;
                }
            }
        }
    }
}

/// A portal that was run in part, or by its name in SQL, has set what it sets.
#[tokio::test(flavor = "multi_thread")]
async fn settings_of_portals() {
    let call = "SELECT set_config('statement_timeout', '1ms', false)";
    for stage in stages().await {
        let run: [(&str, Run); 3] = [
            ("in part", |wire| _ = wire.execute_some(1)),
            ("by FETCH", |wire| {
                wire.message(b'B', b"mine\0s\0\0\0\0\0\0\0")
                    .parse("", "FETCH ALL FROM mine")
                    .bind("", &[])
                    .execute();
            }),
            ("twice", |wire| _ = wire.execute().execute()),
        ];
        for (what, run) in run {
            let mut wire = stage.wire("acme_corp").await;
            wire.parse("s", call).bind("s", &[]);
            run(&mut wire);
            let answer = wire.sync().answer().await;
            assert_eq!(answer.code(), "", "{what}");
            assert_eq!(wire.simple("SHOW statement_timeout").await.value(), "1ms", "{what}");
            drop(wire);
            is_clean(&stage, what).await;
        }
        // What is run twice sets once.
        let mut wire = stage.wire("acme_corp").await;
        wire.parse("s", "SELECT set_config('work_mem', '1MB', false)").bind("s", &[]).execute();
        wire.parse("", "SET work_mem = '2MB'").message(b'B', b"other\0\0\0\0\0\0\0\0");
        wire.message(b'E', b"other\0\0\0\0\0").execute().sync();
        assert_eq!(wire.answer().await.code(), "");
        assert_eq!(wire.simple("SHOW work_mem").await.value(), "2MB");
    }
}

/// Killed, cut short or ended in the middle.
#[tokio::test(flavor = "multi_thread")]
async fn settings_of_clients_that_are_gone_at_once() {
    for stage in stages().await {
        let _writer = serializable_writer(&stage).await;
        for (name, value) in ACTING {
            for flushed in [false, true] {
                let mut wire = stage.wire("acme_corp").await;
                wire.parse("", &set(name, value)).bind("", &[]).execute();
                match flushed {
                    true => {
                        wire.message(b'H', b"").flush().await;
                        wire.until_any(b"CE").await;
                    }
                    false => wire.sync().flush().await,
                }
                drop(wire);
                is_clean(&stage, name).await;
            }
            let mut wire = stage.wire("acme_corp").await;
            wire.simple("BEGIN").await;
            wire.simple(&set(name, value)).await;
            wire.query("SELECT pg_sleep(600)").flush().await;
            drop(wire);
            is_clean(&stage, name).await;
        }
    }
}

/// A client's own settings are its own on each server, whoever had that before.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_client_sets_holds_for_that_client() {
    for stage in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        let mine = [
            ("statement_timeout", "5s"),
            ("idle_session_timeout", "1h"),
            ("lock_timeout", "20s"),
            ("default_transaction_isolation", "serializable"),
            ("client_min_messages", "error"),
            ("datestyle", "German, DMY"),
            ("app.user_id", "7"),
        ];
        for (name, value) in mine {
            assert_eq!(wire.simple(&set(name, value)).await.code(), "", "{name}");
        }
        for _ in 0..3 {
            is_clean(&stage, "in between").await;
            for (name, value) in mine {
                assert_eq!(wire.simple(&format!("SHOW {name}")).await.value(), value);
                assert_eq!(wire.extended(&format!("SHOW {name}"), &[]).await.value(), value);
            }
        }
        assert_eq!(wire.simple("DISCARD ALL").await.code(), "");
        assert_eq!(wire.simple("SHOW datestyle").await.value(), "ISO, MDY");
        assert_eq!(wire.simple("SHOW statement_timeout").await.value(), "0");
    }
}

/// `datestyle` is set by its parts: each of them is kept where the other is set, and none comes from another client.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_datestyle_is_not_mixed_with_anothers() {
    for stage in stages().await {
        let (mut first, mut other) = (stage.wire("acme_corp").await, stage.wire("globex").await);
        let show = "SELECT '02/03/2020'::date::text";
        let startup = [("options", tenant_option("globex")), ("DateStyle", "ISO".to_owned())];
        let startup: Vec<_> = startup.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut driver = Wire::login(stage.port(), "app", "app", &startup).await.unwrap();
        for (text, value) in [
            ("SET datestyle TO 'SQL, DMY'", "02/03/2020"),
            ("SET datestyle TO 'German'", "02.03.2020"),
            ("SET datestyle TO DMY", "02.03.2020"),
            ("BEGIN; SET datestyle TO MDY; ROLLBACK", "02.03.2020"),
            ("BEGIN; SET datestyle TO ISO; COMMIT", "2020-03-02"),
        ] {
            assert_eq!(first.simple(text).await.code(), "", "{text}");
            assert_eq!(driver.simple(show).await.value(), "2020-02-03", "behind {text}");
            assert_eq!(other.simple(show).await.value(), "2020-02-03", "behind {text}");
            assert_eq!(first.simple(show).await.value(), value, "{text}");
        }
    }
}

/// What a text means is the client's who wrote it: servers' prepared statements are not shared where settings give
/// them another meaning.
#[tokio::test(flavor = "multi_thread")]
async fn statement_means_what_it_means_to_its_client() {
    let dates = "SELECT '02/03/2020'::date = '2020-03-02'::date";
    for stage in stages().await {
        let scripts: [(&str, &[&str]); 4] = [
            ("the session's", &["SET datestyle TO 'ISO, DMY'"]),
            ("the transaction's", &["BEGIN", "SET LOCAL datestyle TO 'ISO, DMY'"]),
            (
                "the transaction's, by a function",
                &["BEGIN", "SELECT set_config('datestyle', 'ISO, DMY', true)"],
            ),
            ("in a pipeline", &[]),
        ];
        for (what, script) in scripts {
            let (mut first, mut other) = (stage.wire("acme_corp").await, stage.wire("globex").await);
            for text in script {
                first.simple(text).await;
            }
            if script.is_empty() {
                first.parse("", "SET datestyle TO 'ISO, DMY'").bind("", &[]).execute();
            }
            first.parse("mine", dates).bind("mine", &[]).execute().sync();
            assert_eq!(first.answer().await.value(), "t", "{what}");
            first.simple("COMMIT").await;
            other.parse("theirs", dates).bind("theirs", &[]).execute().sync();
            assert_eq!(other.answer().await.value(), "f", "{what}");
            assert_eq!(other.bind("theirs", &[]).execute().sync().answer().await.value(), "f", "{what}");
        }
    }
}

/// Two servers and several clients of both tenants, all at once.
#[tokio::test(flavor = "multi_thread")]
async fn crowd_of_clients_that_set_what_they_like() {
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy).servers(2)).await;
        let hostile = async |seed: usize| {
            let mut wire = stage.wire("acme_corp").await;
            for round in 0..60 {
                let (name, value) = ACTING[(seed * 7 + round) % ACTING.len()];
                if wire.simple(&set(name, value)).await.status().is_none() {
                    wire = stage.wire("acme_corp").await;
                }
                wire.simple("SELECT count(*) FROM users").await;
            }
        };
        let neutral = async || {
            let mut wire = stage.wire("globex").await;
            for _ in 0..120 {
                let answer = wire.simple("UPDATE users SET name = name").await;
                assert_eq!(
                    (answer.code().as_str(), answer.status()),
                    ("", Some('I')),
                    "{:?}",
                    answer.fault()
                );
            }
        };
        let all = async {
            tokio::join!(hostile(0), hostile(1), hostile(2), neutral(), neutral());
        };
        timeout(Duration::from_secs(60), all).await.expect("nobody is held up");
        is_clean(&stage, "at the end").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn time_limit_of_transactions_stays_with_its_client() {
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy).servers(1)).await;
        let known = stage.wire("globex").await.simple("SHOW transaction_timeout").await.code() == "";
        let wanted = if known { "0" } else { "" };
        for text in [
            "set session transaction_timeout = 743",
            "set transaction_timeout = 20",
            "set transaction_timeout = 1",
        ] {
            for extended in [false, true] {
                let mut wire = stage.wire("globex").await;
                match extended {
                    true => wire.extended(text, &[]).await,
                    false => wire.simple(text).await,
                };
                for _ in 0..3 {
                    let mut other = stage.wire("acme_corp").await;
                    let told = other
                        .simple("SELECT coalesce(current_setting('transaction_timeout', true), '')")
                        .await;
                    assert_eq!(told.value(), wanted, "{text}, {extended}");
                }
            }
        }
    }
}
