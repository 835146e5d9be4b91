//! What drivers and tools send of their own accord, and what they make of the answers: each by its own statements.

use pgstrata_tests::answer::Fault;
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
        assert_eq!(wire.simple(NAMES).await.code(), "42501");
        wire.simple("RESET search_path").await;
        assert_eq!(wire.simple(NAMES).await.column(), ACME);
    }
}

/// As Drizzle's migrator does in front of all else. PostgreSQL itself is asked by a role that may make schemas.
#[tokio::test(flavor = "multi_thread")]
async fn schema_that_is_there_is_not_made_again() {
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy)).await;
        stage.superuser().await.batch_execute("GRANT CREATE ON DATABASE app TO app").await.unwrap();
        let mut direct = Wire::login(stage.cluster.port(), "app", "app", &[]).await.unwrap();
        let mut wire = stage.wire("acme_corp").await;
        let told = async |wire: &mut Wire, text: &str, extended: bool| {
            let answer = match extended {
                true => wire.parse("", text).describe("").bind("", &[]).execute().sync().answer().await,
                false => wire.simple(text).await,
            };
            let notices = answer.messages.iter().filter(|message| message.tag == b'N').map(|message| {
                let told = Fault::read(message);
                (told.severity, told.code, told.message)
            });
            let notices: Vec<_> = notices.collect();
            (answer.tags(), answer.commands(), answer.code(), notices)
        };
        for text in [
            "CREATE SCHEMA IF NOT EXISTS acme_corp",
            "create schema if not exists \"acme_corp\" ; -- as it is",
            "SELECT 1; CREATE SCHEMA IF NOT EXISTS ACME_CORP; SELECT 2",
            "BEGIN; CREATE SCHEMA IF NOT EXISTS acme_corp; COMMIT",
            "BEGIN; SELECT 1/0",
            "CREATE SCHEMA IF NOT EXISTS acme_corp",
            "ROLLBACK",
            "SET client_min_messages TO warning",
            "CREATE SCHEMA IF NOT EXISTS acme_corp",
            "RESET client_min_messages",
        ] {
            for extended in [false, true] {
                if extended && text.contains("; ") && !text.contains("--") {
                    continue;
                }
                let by_proxy = told(&mut wire, text, extended).await;
                assert_eq!(by_proxy, told(&mut direct, text, extended).await, "{extended} {text}");
            }
        }
        for text in [
            "CREATE SCHEMA IF NOT EXISTS globex",
            "CREATE SCHEMA IF NOT EXISTS public",
            "CREATE SCHEMA IF NOT EXISTS anew",
            "CREATE SCHEMA IF NOT EXISTS acme_corp AUTHORIZATION app",
            "CREATE SCHEMA IF NOT EXISTS AUTHORIZATION acme_corp",
            "CREATE SCHEMA acme_corp",
            "CREATE SCHEMA acme_corp CREATE TABLE t (a int)",
        ] {
            assert_eq!(wire.simple(text).await.code(), "42501", "{text}");
            assert_eq!(wire.extended(text, &[]).await.code(), "42501", "{text}");
        }
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

/// As Rails does: a migration adds a column, and fills it by a statement that other clients have prepared too.
#[tokio::test(flavor = "multi_thread")]
async fn statement_of_others_is_not_taken_behind_ddl_of_the_same_transaction() {
    const ALL: &str = "SELECT * FROM users ORDER BY id LIMIT 1";
    const ONE: &str = "SELECT 1 FROM users WHERE id = $1";
    let ddl = "ALTER TABLE users ADD COLUMN b text DEFAULT 'b', ALTER COLUMN id TYPE bigint";
    let hidden = format!("DO $$ BEGIN {ddl}; END $$");
    for (dynamic, pipelined) in [(false, false), (false, true), (true, false), (true, true)] {
        let tags = if pipelined { "12C1tT2DCZ" } else { "1tT2DCZ" };
        for strategy in STRATEGIES {
            let setup = Setup::new().strategy(strategy).servers(1);
            let allowed = "dynamic_sql = \"allow\"";
            let user = format!("name = \"trusted\"\npassword = \"trusted\"\ntenants = [\"*\"]\n{allowed}");
            let stage = Stage::new(setup.user(user)).await;
            let option = pgstrata_tests::stage::tenant_option("acme_corp");
            let name = if dynamic { "trusted" } else { "app" };
            let login = async || {
                let options = [("options", option.as_str())];
                Wire::login(stage.port(), name, name, &options).await.expect("the tenant is let in")
            };
            let (mut other, mut migration) = (login().await, login().await);
            for end in ["ROLLBACK", "ROLLBACK", "COMMIT"] {
                // By then it is known what the table is, and no code of it.
                for _ in 0..100 {
                    all_go(&mut other, &[NAMES]).await;
                }
                // What code of the other client may have left is taken off the server in front of this one's request.
                all_go(&mut migration, &[NAMES]).await;
                for (name, text) in [("all", ALL), ("one", ONE)] {
                    let answer = other.close(name).parse(name, text).describe(name).sync().answer().await;
                    assert_eq!(answer.tags(), "31tTZ");
                }
                let ddl = if dynamic { &hidden } else { ddl };
                all_go(&mut migration, &["BEGIN"]).await;
                if pipelined {
                    migration.parse("", ddl).bind("", &[]).execute();
                } else {
                    all_go(&mut migration, &[ddl]).await;
                }
                migration.parse("all", ALL).describe("all").bind("all", &[]).execute().sync();
                let answer = migration.answer().await;
                assert_eq!((answer.tags().as_str(), answer.fault()), (tags, None), "{strategy:?} {ddl}");
                assert_eq!(answer.rows()[0].last().map(String::as_str), Some("b"));
                let answer = migration.parse("one", ONE).describe("one").sync().answer().await;
                let types = answer.messages.iter().find(|message| message.tag == b't');
                assert_eq!(types.expect("types").body[..], [0, 1, 0, 0, 0, 20], "bigint");
                all_go(&mut migration, &[end, "DISCARD ALL"]).await;
                migration.close("all").close("one").sync().answer().await;
            }
        }
    }
}

/// As pgx does: it names a format for each column, and prepares anew behind this error only.
#[tokio::test(flavor = "multi_thread")]
async fn formats_for_columns_of_before_are_an_overtaken_plan() {
    const ALL: &str = "SELECT * FROM widened";
    let formats = |count: u8| {
        let mut body = b"\0s\0\0\0\0\0\0".to_vec();
        body.push(count);
        body.extend(vec![0; usize::from(count) * 2]);
        body
    };
    for stage in stages(2).await {
        let (mut reader, mut holder) = (stage.wire("acme_corp").await, stage.wire("globex").await);
        let owner = stage.superuser().await;
        all_go(&mut reader, &["CREATE TABLE widened (a text, b text)"]).await;
        reader.parse("s", ALL).describe("s").sync().answer().await;
        reader.message(b'B', &formats(2)).execute().sync();
        assert_eq!(reader.answer().await.tags(), "2CZ");
        // What is wrong from the start stays what it is.
        reader.message(b'B', &formats(3)).execute().sync();
        assert_eq!(reader.answer().await.code(), "08P01");
        owner.batch_execute("ALTER TABLE acme_corp.widened ADD COLUMN c text").await.unwrap();
        // On the server that has the statement, and on one that has not.
        for text in ["BEGIN", "COMMIT", "BEGIN"] {
            holder.simple(text).await;
            reader.message(b'B', &formats(2)).execute().sync();
            let fault = reader.answer().await.fault().expect("an error");
            assert_eq!(
                (fault.code.as_str(), fault.message.as_str()),
                ("0A000", "cached plan must not change result type")
            );
        }
        reader.close("s").parse("s", ALL).describe("s").sync();
        assert_eq!(reader.answer().await.tags(), "31tTZ");
        for text in ["COMMIT", "BEGIN"] {
            holder.simple(text).await;
            reader.message(b'B', &formats(3)).execute().sync();
            assert_eq!(reader.answer().await.tags(), "2CZ");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_at_login_are_refused_as_postgresql_does() {
    for stage in stages(1).await {
        for (name, value) in [
            ("no_such_setting", "1"),
            ("DateStyle", "nonsense"),
            ("default_transaction_isolation", "nonsense"),
            ("work_mem", "many"),
            ("wal_buffers", "1MB"),
            ("IntervalStyle", "sql_standard"),
        ] {
            let tenant = pgstrata_tests::stage::tenant_option("acme_corp");
            let told = async |port, options: &str| {
                let parameters = [(name, value), ("options", options)];
                Wire::login(port, "app", "app", &parameters)
                    .await
                    .err()
                    .map(|fault| (fault.code, fault.message))
            };
            assert_eq!(told(stage.port(), &tenant).await, told(stage.cluster.port(), "").await, "{name}");
        }
    }
}
