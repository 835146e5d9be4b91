//! What changes below a statement that is kept, through the proxy and past it.

use pgstrata_tenancy::Strategy;
use pgstrata_tests::stage::eventually;
use pgstrata_tests::wire::CANCEL_REQUEST;

use super::*;

const KEPT: [&str; 2] = ["plan", "parse"];

async fn past(stage: &Stage, sql: &str) {
    let sql = format!("SET search_path = acme_corp; {sql}");
    stage.superuser().await.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_are_those_that_a_statement_has_now() {
    for (mode, stage) in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        wire.simple("CREATE TABLE notes (id int, note text)").await;
        let all = "SELECT * FROM notes WHERE id = $1";
        for (ddl, columns) in [
            ("ALTER TABLE notes ADD COLUMN more int", 3),
            ("ALTER TABLE notes DROP COLUMN note", 2),
            ("ALTER TABLE notes ALTER COLUMN more TYPE text", 2),
            (
                "DROP TABLE notes; CREATE TABLE notes (id bigint, a int, b int, c int); GRANT ALL ON notes TO app",
                4,
            ),
        ] {
            until_kept(&stage, mode, &mut wire, all, &["1"]).await;
            past(&stage, ddl).await;
            for _ in 0..4 {
                wire.parse("", all).bind("", &["1"]).message(b'D', b"P\0").execute();
                let answer = wire.sync().answer().await;
                assert_eq!(answer.tags(), "12TCZ", "{mode}: {ddl}: {:?}", answer.fault());
                let fields = answer.messages.iter().find(|message| message.tag == b'T').unwrap();
                assert_eq!(fields.body[..2], [0, columns], "{mode}: {ddl}");
            }
        }
        until_kept(&stage, mode, &mut wire, all, &["1"]).await;
        // A value that the type of before would not take.
        past(&stage, "ALTER TABLE notes ALTER COLUMN id TYPE text").await;
        assert_eq!(run(&mut wire, all, &["no number"]).await.tags(), "12CZ", "{mode}");
        until_kept(&stage, mode, &mut wire, all, &["1"]).await;
        past(&stage, "DROP TABLE notes").await;
        for _ in 0..4 {
            let answer = run(&mut wire, all, &["1"]).await;
            let fault = answer.fault().unwrap();
            assert_eq!((&*fault.code, answer.tags().as_str()), ("42P01", "EZ"), "{mode}");
            assert_eq!(fault.position.as_deref(), Some("15"), "{mode}");
        }
    }
}

/// PostgreSQL would go on with the type that it has found for a parameter, and lose what that does not hold.
#[tokio::test(flavor = "multi_thread")]
async fn parameters_have_the_types_that_their_columns_have_now() {
    for (mode, stage) in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        wire.simple("CREATE TABLE typed (at date, many real, said char(3))").await;
        let insert = "INSERT INTO typed (at, many, said) VALUES ($1, $2, $3)";
        for (column, to, values, stored) in [
            ("at", "timestamp", ["2020-01-01 10:00", "0", ""], "2020-01-01 10:00:00"),
            ("many", "double precision", ["2020-01-01", "0.1", ""], "0.1"),
            ("said", "text", ["2020-01-01", "0", "a  "], "a  "),
            ("at", "timestamptz", ["2020-01-01 10:00+09", "0", ""], "2020-01-01 01:00:00+00"),
        ] {
            wire.simple("SET timezone = 'UTC'").await;
            until_kept(&stage, mode, &mut wire, insert, &["2020-01-01", "1", "x"]).await;
            past(&stage, &format!("ALTER TABLE typed ALTER COLUMN {column} TYPE {to}; TRUNCATE typed")).await;
            let answer = run(&mut wire, insert, &values).await;
            assert_eq!(answer.tags(), "12CZ", "{mode}: {:?}", answer.fault());
            let found = wire.simple(&format!("SELECT {column} FROM typed")).await;
            assert_eq!(found.value(), stored, "{mode}: {column}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_that_waits_for_a_change_runs_as_it_is_behind_that() {
    for (mode, stage) in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        wire.simple("CREATE TABLE typed (at date)").await;
        let insert = "INSERT INTO typed (at) VALUES ($1)";
        until_kept(&stage, mode, &mut wire, insert, &["2020-01-01"]).await;
        let admin = stage.superuser().await;
        let change =
            "BEGIN; TRUNCATE acme_corp.typed; ALTER TABLE acme_corp.typed ALTER COLUMN at TYPE timestamp";
        admin.batch_execute(change).await.unwrap();
        wire.parse("", insert).bind("", &["2020-01-01 10:00"]).execute().sync().flush().await;
        until_waiting(&stage, 1).await;
        admin.batch_execute("COMMIT").await.unwrap();
        let answer = wire.until(b'Z').await;
        assert_eq!(answer.tags(), "12CZ", "{mode}: {:?}", answer.fault());
        assert_eq!(wire.simple("SELECT at FROM typed").await.value(), "2020-01-01 10:00:00", "{mode}");
    }
}

async fn until_waiting(stage: &Stage, count: i64) {
    let admin = stage.superuser().await;
    let waiting = async || {
        let asked = "SELECT count(*) FROM pg_locks WHERE NOT granted";
        admin.query_one(asked, &[]).await.unwrap().get::<_, i64>(0)
    };
    eventually(count, waiting).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_that_waits_is_cancelled_once() {
    for (mode, stage) in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        warm(&stage, mode, &mut wire).await;
        until_kept(&stage, mode, &mut wire, BY_ID, &["1"]).await;
        let admin = stage.superuser().await;
        admin.batch_execute("BEGIN; LOCK TABLE acme_corp.users").await.unwrap();
        wire.simple("SET statement_timeout = '200ms'").await;
        let answer = run(&mut wire, BY_ID, &["1"]).await;
        assert_eq!((answer.code(), answer.tags()), ("57014".into(), "EZ".into()), "{mode}");
        wire.simple("RESET statement_timeout").await;
        wire.parse("", BY_ID).bind("", &["1"]).execute().sync().flush().await;
        until_waiting(&stage, 1).await;
        let mut cancel = Wire::connect(stage.port()).await;
        cancel.packet(CANCEL_REQUEST, &wire.key).await;
        let answer = wire.until(b'Z').await;
        assert_eq!((answer.code(), answer.tags()), ("57014".into(), "EZ".into()), "{mode}");
        admin.batch_execute("ROLLBACK").await.unwrap();
        assert_eq!(run(&mut wire, BY_ID, &["1"]).await.column(), ACME[..1], "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn own_table_that_hides_a_shared_one_is_seen_at_once() {
    for mode in KEPT {
        for (strategy, made_by) in [
            (Strategy::SearchPath, "administrator"),
            (Strategy::SearchPath, "function"),
            (Strategy::SearchPath, "client"),
            (Strategy::SchemaQualified, "client"),
        ] {
            let stage = stage_with(mode, strategy).await;
            let shared = "CREATE TABLE public.tariffs (a int); INSERT INTO public.tariffs VALUES (1); \
                          GRANT SELECT ON public.tariffs TO PUBLIC; CREATE FUNCTION acme_corp.make() RETURNS void \
                          LANGUAGE plpgsql AS $$ BEGIN EXECUTE 'CREATE TABLE acme_corp.tariffs (a int)'; END $$";
            past(&stage, shared).await;
            let mut wire = stage.wire("acme_corp").await;
            warm(&stage, mode, &mut wire).await;
            let text = "SELECT a FROM tariffs WHERE a = $1";
            for _ in 0..8 {
                assert_eq!(run(&mut wire, text, &["1"]).await.column(), ["1"], "{strategy:?}, {mode}");
            }
            match made_by {
                "client" => assert!(wire.simple("CREATE TABLE tariffs (a int)").await.fault().is_none()),
                "function" => assert!(wire.simple("SELECT make()").await.fault().is_none()),
                _ => past(&stage, "CREATE TABLE tariffs (a int); GRANT ALL ON tariffs TO app").await,
            }
            let answer = run(&mut wire, text, &["1"]).await;
            assert_eq!(answer.tags(), "12CZ", "{strategy:?}, {mode}, {made_by}: {:?}", answer.fault());
        }
    }
}

/// A table of this name is in the shared schema, too: the path finds that where the tenant's is gone.
#[tokio::test(flavor = "multi_thread")]
async fn own_table_that_is_gone_and_comes_back_is_seen_at_once() {
    for mode in MODES {
        let stage = stage_with(mode, Strategy::SearchPath).await;
        let mut wire = stage.wire("acme_corp").await;
        let shared = stage.public_users().await;
        until_kept(&stage, mode, &mut wire, BY_ID, &["1"]).await;
        past(&stage, "ALTER TABLE users RENAME TO away").await;
        for _ in 0..4 {
            assert_eq!(run(&mut wire, BY_ID, &["1"]).await.column(), shared[..1], "{mode}");
        }
        past(&stage, "ALTER TABLE away RENAME TO users").await;
        for _ in 0..4 {
            assert_eq!(run(&mut wire, BY_ID, &["1"]).await.column(), ACME[..1], "{mode}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn function_that_fits_better_is_called_at_once() {
    for (mode, stage) in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        warm(&stage, mode, &mut wire).await;
        let text = "SELECT div(id, $1) FROM users WHERE id = 1";
        for _ in 0..8 {
            assert_eq!(run(&mut wire, text, &["1"]).await.column(), ["1"], "{mode}");
        }
        let better = "CREATE FUNCTION public.div(int, int) RETURNS int LANGUAGE sql AS 'SELECT 7'; \
                      CREATE FUNCTION public.div(bigint, int) RETURNS int LANGUAGE sql AS 'SELECT 7'; \
                      CREATE FUNCTION public.div(bigint, bigint) RETURNS int LANGUAGE sql AS 'SELECT 7'";
        past(&stage, better).await;
        assert_eq!(run(&mut wire, text, &["1"]).await.column(), ["7"], "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn strings_stand_for_what_they_stand_for_now() {
    for (mode, stage) in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        wire.simple("CREATE TYPE mood AS ENUM ('fine'); CREATE TABLE felt (id int, how mood)").await;
        warm(&stage, mode, &mut wire).await;
        for text in ["SELECT 'now'::timestamptz", "SELECT $1::int, $$now$$::timestamptz"] {
            let values: &[&str] = if text.contains("$1") { &["1"] } else { &[] };
            let mut times = Vec::new();
            for _ in 0..6 {
                times.push(run(&mut wire, text, values).await.rows()[0].last().unwrap().clone());
            }
            times.dedup();
            assert_eq!(times.len(), 6, "{mode}: {text}");
        }
        let felt = "SELECT id FROM felt WHERE how = 'fine' AND id = $1";
        for _ in 0..6 {
            assert_eq!(run(&mut wire, felt, &["1"]).await.tags(), "12CZ", "{mode}");
        }
        past(&stage, "ALTER TYPE mood RENAME VALUE 'fine' TO 'well'").await;
        assert_eq!(run(&mut wire, felt, &["1"]).await.code(), "22P02", "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn temporary_table_that_a_function_makes_is_seen() {
    for (mode, stage) in stages().await {
        past(
            &stage,
            "CREATE FUNCTION hide() RETURNS void LANGUAGE plpgsql AS $$ BEGIN \
             CREATE TEMP TABLE users (id int, name text); END $$",
        )
        .await;
        let mut wire = stage.wire("acme_corp").await;
        warm(&stage, mode, &mut wire).await;
        until_kept(&stage, mode, &mut wire, BY_ID, &["1"]).await;
        assert!(wire.simple("SELECT hide()").await.fault().is_none());
        // By the path the temporary one is found, and not where the schema is written.
        let found = wire.simple("SELECT name FROM users WHERE id = 1").await.rows().len();
        for _ in 0..4 {
            assert_eq!(run(&mut wire, BY_ID, &["1"]).await.rows().len(), found, "{mode}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_that_are_taken_away_are_gone_at_once() {
    for (mode, stage) in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        warm(&stage, mode, &mut wire).await;
        until_kept(&stage, mode, &mut wire, BY_ID, &["1"]).await;
        let role = wire.simple("SELECT current_user").await.value();
        past(
            &stage,
            &format!("ALTER TABLE users OWNER TO postgres; REVOKE ALL ON users FROM {role}, PUBLIC, app"),
        )
        .await;
        for _ in 0..4 {
            assert_eq!(run(&mut wire, BY_ID, &["1"]).await.code(), "42501", "{mode}");
        }
        past(&stage, &format!("GRANT SELECT ON users TO {role}")).await;
        for _ in 0..4 {
            assert_eq!(run(&mut wire, BY_ID, &["1"]).await.column(), ACME[..1], "{mode}");
        }
    }
}
