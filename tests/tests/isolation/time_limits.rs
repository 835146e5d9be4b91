//! Time-outs that role, database or configuration set: clients may set them lower, and not higher.

use pgstrata_tenancy::Tier;
use pgstrata_tests::compare::{bind_portal, run};
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::stage::tenant_option;
use pgstrata_tests::{ACME, Setup, Stage, Wire};

const NAMES: &str = "SELECT name FROM users ORDER BY id";

const FREE: &str = "name = 'dumps'\npassword = 'app'\ntenants = ['*']\ntime_limits = 'free'";
const RUNS: &str = "name = 'runs'\npassword = 'app'\ntenants = ['*']\ndynamic_sql = 'allow'";

/// Servers whose role and database bound what they may take.
async fn stages() -> Vec<Stage> {
    let mut stages = Vec::new();
    for (strategy, tier) in
        STRATEGIES.into_iter().map(|strategy| (strategy, Tier::Names)).chain([(STRATEGIES[0], Tier::Role)])
    {
        let stage =
            Stage::new(Setup::new().strategy(strategy).tier(tier).servers(2).user(FREE).user(RUNS)).await;
        let server = stage.superuser().await;
        let limits = "ALTER ROLE app SET statement_timeout = '30s'; ALTER DATABASE app SET lock_timeout = '10s'; \
            ALTER ROLE app IN DATABASE app SET idle_in_transaction_session_timeout = '1min'";
        server.batch_execute(limits).await.unwrap();
        stages.push(stage);
    }
    stages
}

async fn as_user(stage: &Stage, user: &str) -> Wire {
    let options = [("options", &*tenant_option("acme_corp"))];
    Wire::login(stage.port(), user, "app", &options).await.expect("it is let in")
}

async fn shown(wire: &mut Wire, name: &str) -> String {
    wire.simple(&format!("SHOW {name}")).await.value()
}

#[tokio::test(flavor = "multi_thread")]
async fn timeouts_are_lowered_and_not_raised() {
    for stage in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        for (name, limit, lower, higher) in [
            ("statement_timeout", "30s", ["29999", "'0.5s'", "'30 s'"], ["30001", "0", "'1h'"]),
            ("lock_timeout", "10s", ["1", "'9999 ms'", "10000"], ["'11s'", "0", "'1d'"]),
            (
                "idle_in_transaction_session_timeout",
                "1min",
                ["'59s'", "'1min'", "60000"],
                ["'61s'", "0", "60001"],
            ),
        ] {
            assert_eq!(shown(&mut wire, name).await, limit);
            for value in lower {
                for text in [
                    format!("SET {name} = {value}"),
                    format!("SELECT set_config('{name}', '{}', false)", value.trim_matches('\'')),
                    format!("SELECT 1; SET SESSION {name} TO {value}; SELECT 2"),
                ] {
                    for extended in [false, true] {
                        if extended && text.contains(';') {
                            continue;
                        }
                        let answer =
                            if extended { wire.extended(&text, &[]).await } else { wire.simple(&text).await };
                        assert_eq!(answer.code(), "", "{text}: {answer:?}");
                        assert_ne!(shown(&mut wire, name).await, "0", "{text}");
                        // On the other server, too.
                        assert_eq!(wire.extended(NAMES, &[]).await.column(), ACME);
                        assert_eq!(wire.simple(&format!("RESET {name}")).await.code(), "");
                    }
                }
            }
            for value in higher {
                let plain = value.trim_matches('\'');
                for text in [
                    format!("SET {name} = {value}"),
                    format!("SELECT 1; SET SESSION {name} TO {value}"),
                    format!("SELECT set_config('{name}', '{plain}', false)"),
                    format!("SELECT set_config('{name}', '{plain}', true)"),
                    format!("BEGIN; SET LOCAL {name} = {value}"),
                    format!("BEGIN; SET {name} = '5s'; SET LOCAL {name} = {value}"),
                    format!("SET {name} = {value}; SELECT pg_sleep(0); SET {name} = '5s'"),
                ] {
                    for extended in [false, true] {
                        if extended && text.contains(';') {
                            continue;
                        }
                        let answer =
                            if extended { wire.extended(&text, &[]).await } else { wire.simple(&text).await };
                        let fault = answer.fault().expect(&text);
                        assert_eq!(fault.code, "42501", "{text}: {fault:?}");
                        assert!(
                            fault.hint.as_deref().unwrap().contains(&format!("sets it to {limit}")),
                            "{fault:?}"
                        );
                        assert!(!fault.message.contains("pgstrata"), "{fault:?}");
                        wire.simple("ROLLBACK").await;
                        assert_eq!(shown(&mut wire, name).await, limit, "{text}");
                    }
                }
                for (local, names) in [("false", [plain, "1"]), ("true", [plain, "1"])] {
                    let text = format!("SELECT set_config('{name}', $1, {local})");
                    assert_eq!(wire.extended(&text, &names[..1]).await.code(), "42501", "{text}: {plain}");
                    assert_eq!(wire.extended(&text, &names[1..]).await.code(), "", "{text}");
                    wire.simple(&format!("RESET {name}")).await;
                }
            }
        }
    }
}

/// What is lowered stays lowered, for the session or the transaction, on whichever server.
#[tokio::test(flavor = "multi_thread")]
async fn lowered_timeouts_hold_as_postgresqls_do() {
    for stage in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        let mut other = stage.wire("globex").await;
        wire.simple("SET statement_timeout = '9s'").await;
        other.simple("BEGIN; SELECT 1").await;
        assert_eq!(shown(&mut wire, "statement_timeout").await, "9s");
        wire.simple("BEGIN; SET LOCAL statement_timeout = '3s'").await;
        assert_eq!(shown(&mut wire, "statement_timeout").await, "3s");
        wire.simple("SAVEPOINT a").await;
        wire.simple("SET statement_timeout = '2s'").await;
        assert_eq!(shown(&mut wire, "statement_timeout").await, "2s");
        wire.simple("ROLLBACK TO a").await;
        assert_eq!(shown(&mut wire, "statement_timeout").await, "3s");
        wire.simple("COMMIT").await;
        assert_eq!(shown(&mut wire, "statement_timeout").await, "9s");
        wire.simple("BEGIN; SET statement_timeout = '4s'; COMMIT").await;
        assert_eq!(shown(&mut wire, "statement_timeout").await, "4s");
        run(&mut wire, "SET statement_timeout = '5s'");
        run(&mut wire, "SHOW statement_timeout");
        run(&mut wire, "SET statement_timeout = '31s'");
        run(&mut wire, "SELECT 1").sync();
        assert_eq!(wire.answer().await.code(), "42501");
        assert_eq!(shown(&mut wire, "statement_timeout").await, "4s");
        // It acts.
        wire.simple("SET statement_timeout = '50ms'").await;
        assert_eq!(wire.simple("SELECT pg_sleep(10)").await.code(), "57014");
        other.simple("COMMIT").await;
        assert_eq!(shown(&mut other, "statement_timeout").await, "30s");
    }
}

/// As migration tools do it (Kysely): nobody looks at the value in the middle of a statement.
#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_limit_is_set_in_any_statement() {
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy).servers(1)).await;
        let mut wire = stage.wire("acme_corp").await;
        let text = "WITH s AS (SELECT set_config('lock_timeout', '3600000', true) AS v) \
                    SELECT pg_advisory_xact_lock(7), v FROM s";
        assert_eq!(wire.simple(text).await.code(), "");
        assert_eq!(wire.extended(text, &[]).await.code(), "");
        stage.superuser().await.batch_execute("ALTER ROLE app SET lock_timeout = '5s'").await.unwrap();
        stage
            .superuser()
            .await
            .batch_execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'app'")
            .await
            .unwrap();
        let mut wire = stage.wire("acme_corp").await;
        assert_eq!(wire.simple(text).await.code(), "42501");
        assert_eq!(wire.extended(text, &[]).await.code(), "42501");
    }
}

/// Ways to set one that nobody could look behind.
#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_in_disguise() {
    for stage in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        for text in [
            "SELECT set_config('lock_timeout', '0', true), count(*) FROM users",
            "SELECT set_config('statement_timeout', '1' || '00000', false)",
            "SELECT set_config('STATEMENT_TIMEOUT', '0', false), set_config('statement_timeout', '1s', false)",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET lock_timeout = 0 RETURN 1",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql SET lock_timeout TO '1s' RETURN 1",
            "ALTER FUNCTION f() SET statement_timeout FROM CURRENT",
            "ALTER ROLE app SET statement_timeout = 0",
            "ALTER DATABASE app SET statement_timeout = 0",
            "PREPARE p AS SELECT set_config('statement_timeout', '0', false)",
            "DECLARE c CURSOR FOR SELECT set_config('statement_timeout', '0', false)",
            "UPDATE pg_settings SET setting = '0' WHERE name = 'statement_timeout'",
            "SELECT set_config(n, '0', false) FROM (VALUES ('statement_timeout')) v(n)",
        ] {
            wire.simple("BEGIN").await;
            let fault = wire.simple(text).await.fault().unwrap_or_else(|| panic!("let through: {text}"));
            assert_eq!(fault.code, "42501", "{text}: {fault:?}");
            wire.simple("ROLLBACK").await;
            // A cursor needs a transaction: PostgreSQL says that first.
            let expected = if text.starts_with("DECLARE") { "25P01" } else { "42501" };
            assert_eq!(wire.extended(text, &[]).await.code(), expected, "{text}");
            assert_eq!(shown(&mut wire, "statement_timeout").await, "30s");
        }
        // By a portal that a FETCH runs.
        for text in ["SELECT set_config('statement_timeout', '0', false)", "SET statement_timeout = 0"] {
            run(&mut wire, "BEGIN").parse("s", text);
            bind_portal(&mut wire, "p", "s");
            wire.sync();
            wire.answer().await;
            wire.simple("FETCH p").await;
            wire.simple("COMMIT").await;
            assert_eq!(shown(&mut wire, "statement_timeout").await, "30s", "{text}");
            wire.simple("EXECUTE s").await;
            assert_eq!(shown(&mut wire, "statement_timeout").await, "30s", "{text}");
            wire.close("s").sync().answer().await;
        }
        // Some rows of it, and what follows in the pipeline.
        wire.parse("", "SELECT set_config('statement_timeout', '0', false)").bind("", &[]).execute_some(1);
        run(&mut wire, "SELECT pg_sleep(0)").sync();
        assert_eq!(wire.answer().await.code(), "42501");
        assert_eq!(shown(&mut wire, "statement_timeout").await, "30s");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_hold_at_the_start() {
    for stage in stages().await {
        let tenant = tenant_option("acme_corp");
        for (name, high, low) in [("statement_timeout", "0", "5s"), ("lock_timeout", "1h", "1s")] {
            for _ in 0..2 {
                let refused =
                    Wire::login(stage.port(), "app", "app", &[("options", &tenant), (name, high)]).await;
                let fault = refused.expect_err(name);
                assert_eq!((fault.code.as_str(), fault.severity.as_str()), ("42501", "FATAL"), "{fault:?}");
                assert!(fault.message.contains(name) && fault.hint.unwrap().contains("sets it to"));
                let options = format!("{tenant} -c {name}={high}");
                assert!(Wire::login(stage.port(), "app", "app", &[("options", &*options)]).await.is_err());
                let mut wire = Wire::login(stage.port(), "app", "app", &[("options", &tenant), (name, low)])
                    .await
                    .unwrap();
                assert_eq!(shown(&mut wire, name).await, low);
                assert_eq!(wire.simple(&format!("SET {name} = 0")).await.code(), "42501");
                let mut free =
                    Wire::login(stage.port(), "dumps", "app", &[("options", &tenant), (name, high)])
                        .await
                        .unwrap();
                assert_eq!(shown(&mut free, name).await, high);
            }
        }
    }
}

/// Who may: a user that the configuration says it of, and everybody where there is no limit.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_limited_is_free() {
    for stage in stages().await {
        let mut free = as_user(&stage, "dumps").await;
        for text in ["SET statement_timeout = 0", "SELECT set_config('lock_timeout', '0', false), 1"] {
            assert_eq!(free.simple(text).await.code(), "", "{text}");
        }
        assert_eq!(shown(&mut free, "statement_timeout").await, "0");
        let mut wire = as_user(&stage, "runs").await;
        for text in ["SET idle_session_timeout = 0", "SET work_mem = '64MB'", "SET deadlock_timeout = 1"] {
            assert!(["", "42501"].contains(&wire.simple(text).await.code().as_str()), "{text}");
        }
    }
    let stage = Stage::new(Setup::new().servers(1)).await;
    let mut wire = stage.wire("acme_corp").await;
    for text in ["SET statement_timeout = '1h'", "SET lock_timeout = 0", "SET LOCAL statement_timeout = 5"] {
        assert_eq!(wire.simple(text).await.code(), "", "{text}");
        assert_eq!(wire.extended(text, &[]).await.code(), "", "{text}");
    }
    assert_eq!(shown(&mut wire, "statement_timeout").await, "1h");
}
