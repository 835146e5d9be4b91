//! Prepared statements of the protocol and of SQL have one name space, as on PostgreSQL itself.

use pgstrata_tests::compare::{about_portal, answers, bind_portal, compare, execute_portal, run};
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::{ACME, Setup, Stage, Wire};

const NAMES: &str = "SELECT name FROM users ORDER BY id";
const BY_ID: &str = "SELECT name FROM users WHERE id = $1";

/// A proxy with each strategy, each in front of a PostgreSQL of its own.
async fn stages() -> Vec<Stage> {
    let mut stages = Vec::new();
    for strategy in STRATEGIES {
        stages.push(Stage::new(Setup::new().strategy(strategy).servers(2)).await);
    }
    stages
}

/// Behind the end of a transaction that has failed, in one text: what its server has not, can't be prepared there.
#[tokio::test(flavor = "multi_thread")]
async fn statement_is_run_behind_the_end_of_a_failed_transaction() {
    let mut stages = Vec::new();
    for strategy in STRATEGIES {
        stages.push(Stage::new(Setup::new().strategy(strategy).servers(1)).await);
    }
    compare(&stages, "EXECUTE behind ROLLBACK", async |wire| {
        let mut out = vec![wire.parse("a", NAMES).sync().answer().await];
        out.extend(
            texts(wire, &["EXECUTE a", "BEGIN; SELECT 1 / 0", "EXECUTE a", "ROLLBACK; EXECUTE a"]).await,
        );
        out
    })
    .await;
}

/// What each text of a list is answered with, in the simple protocol.
async fn texts(wire: &mut Wire, texts: &[&str]) -> Vec<pgstrata_tests::Answer> {
    let mut out = Vec::new();
    for text in texts {
        out.push(wire.simple(text).await);
    }
    out
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_the_protocol_are_run_by_execute() {
    let stages = stages().await;
    compare(&stages, "EXECUTE of statements of the protocol", async |wire| {
        let mut out = vec![wire.parse("a", NAMES).parse("by Id", BY_ID).sync().answer().await];
        let all = [
            "EXECUTE a",
            "execute \"by Id\"(2)",
            "EXECUTE U&\"by\\0020Id\" (1 + 2); EXECUTE a; SELECT 1",
            "BEGIN; EXECUTE a",
            "EXECUTE \"by Id\"(1)",
            "COMMIT",
            "EXECUTE \"by Id\"",
            "EXECUTE \"by Id\"('x')",
            "EXECUTE a(1)",
            "EXECUTE missing",
            "SELECT 1; EXECUTE missing; SELECT 2",
            "SELECT 1; EXECUTE missing; no SQL",
            "SELECT 1/0; EXECUTE missing",
            "BEGIN; SELECT 1; EXECUTE missing",
            "EXECUTE missing",
            "EXECUTE a",
            "ROLLBACK",
            "EXECUTE a",
        ];
        out.extend(texts(wire, &all).await);
        out
    })
    .await;
    compare(&stages, "what EXECUTE makes", async |wire| {
        let mut out = vec![wire.parse("a", NAMES).sync().answer().await];
        let all = [
            "CREATE TEMP TABLE made AS EXECUTE a",
            "SELECT * FROM made ORDER BY 1",
            "EXPLAIN (COSTS OFF) CREATE TEMP TABLE twice AS EXECUTE missing",
            "CREATE TABLE made AS EXECUTE missing",
            "DROP TABLE made",
        ];
        out.extend(texts(wire, &all).await);
        out
    })
    .await;
    compare(&stages, "EXECUTE in the extended protocol", async |wire| {
        let mut out = vec![wire.parse("a", NAMES).parse("by Id", BY_ID).sync().answer().await];
        wire.parse("", "EXECUTE a").describe("").bind("", &[]);
        about_portal(wire, b'D', "");
        out.push(wire.execute().sync().answer().await);
        wire.parse("e", "EXECUTE \"by Id\"(2)").describe("e").bind("e", &[]).execute().sync();
        out.push(wire.answer().await);
        // What it runs is found each time anew.
        out.push(wire.close("by Id").bind("e", &[]).execute().sync().answer().await);
        wire.parse("by Id", "SELECT $1::int + 40").bind("e", &[]).execute().sync();
        out.push(wire.answer().await);
        for text in ["EXECUTE missing", "EXPLAIN EXECUTE missing", "EXECUTE a(1)"] {
            wire.parse("", text).bind("", &[]).execute().sync();
            out.push(wire.answer().await);
        }
        wire.parse("", "EXECUTE missing").describe("").bind("", &[]).sync();
        out.push(wire.answer().await);
        run(wire, "BEGIN");
        run(wire, "EXECUTE a");
        run(wire, "EXECUTE missing");
        run(wire, "EXECUTE a").sync();
        out.push(wire.answer().await);
        run(wire, "EXECUTE a").sync();
        out.push(wire.answer().await);
        out.push(wire.simple("ROLLBACK").await);
        out
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_are_dropped_and_taken_as_on_postgresql() {
    let stages = stages().await;
    compare(&stages, "DEALLOCATE in the middle of a text", async |wire| {
        let mut out = vec![wire.parse("a", NAMES).parse("b", NAMES).sync().answer().await];
        // As psqlODBC sends it.
        for text in ["BEGIN", "SAVEPOINT s; DEALLOCATE \"a\"; RELEASE s", "COMMIT"] {
            out.push(wire.simple(text).await);
        }
        out.push(wire.bind("a", &[]).execute().sync().answer().await);
        out.push(wire.parse("a", "SELECT 1").bind("a", &[]).execute().sync().answer().await);
        let all = [
            "BEGIN; DEALLOCATE b; ROLLBACK",
            "EXECUTE b",
            "SELECT 1; DEALLOCATE a; EXECUTE a; SELECT 2",
            "SELECT 1; DEALLOCATE a; SELECT 2",
            "BEGIN",
            "SELECT 1/0",
            "DEALLOCATE a",
            "ROLLBACK",
            "DEALLOCATE PREPARE missing",
        ];
        out.extend(texts(wire, &all).await);
        out
    })
    .await;
    compare(&stages, "a name that SQL has prepared", async |wire| {
        let all = [
            "PREPARE a AS SELECT 1",
            "PREPARE a AS SELECT 2",
            "PREPARE transaction AS SELECT 7",
            "EXECUTE transaction",
            "EXECUTE a",
        ];
        let mut out = texts(wire, &all).await;
        out.push(wire.parse("a", "SELECT 3").sync().answer().await);
        out.push(wire.parse("b", "SELECT 4").sync().answer().await);
        let all = [
            "PREPARE b AS SELECT 5",
            "SELECT 1; PREPARE b AS SELECT 5; SELECT 2",
            "SELECT 1; PREPARE c AS SELECT 6; EXECUTE c; DEALLOCATE c; EXECUTE c",
            "PREPARE c AS SELECT no_column",
            "EXECUTE c",
            "BEGIN; PREPARE c AS SELECT 6; ROLLBACK",
            "EXECUTE c; EXECUTE b",
            "DEALLOCATE c; DEALLOCATE b; DEALLOCATE a",
            "EXECUTE b",
            "PREPARE b AS SELECT 5; DEALLOCATE ALL; EXECUTE b",
            "PREPARE b AS SELECT 5; DEALLOCATE ALL; PREPARE b AS SELECT 8; EXECUTE b",
        ];
        out.extend(texts(wire, &all).await);
        out.push(wire.parse("a", "SELECT 3").bind("a", &[]).execute().sync().answer().await);
        out
    })
    .await;
    compare(&stages, "PREPARE and DEALLOCATE in pipelines", async |wire| {
        run(wire, "PREPARE a AS SELECT 1");
        run(wire, "EXECUTE a");
        wire.bind("a", &[]).execute();
        run(wire, "DEALLOCATE a");
        run(wire, "EXECUTE a").sync();
        let mut out = vec![wire.answer().await];
        run(wire, "PREPARE a AS SELECT 1");
        run(wire, "PREPARE a AS SELECT 1").sync();
        out.push(wire.answer().await);
        run(wire, "SELECT 1/0");
        run(wire, "DEALLOCATE a");
        run(wire, "PREPARE b AS SELECT 1").sync();
        out.push(wire.answer().await);
        out.push(wire.simple("EXECUTE a").await);
        out.push(wire.simple("EXECUTE b").await);
        wire.parse("p", "SELECT 2");
        run(wire, "PREPARE p AS SELECT 1").sync();
        out.push(wire.answer().await);
        run(wire, "DEALLOCATE p");
        run(wire, "PREPARE p AS SELECT 3");
        wire.bind("p", &[]).execute().sync();
        out.push(wire.answer().await);
        // Bound while it was the one kind, executed when it is the other.
        wire.parse("drop", "DEALLOCATE p");
        bind_portal(wire, "one", "drop");
        execute_portal(wire, "one", 0);
        wire.parse("p", "SELECT 4");
        bind_portal(wire, "two", "drop");
        execute_portal(wire, "two", 0);
        bind_portal(wire, "three", "drop");
        execute_portal(wire, "three", 0);
        wire.sync();
        out.push(wire.answer().await);
        out
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_of_sql_are_bound_and_described() {
    let stages = stages().await;
    compare(&stages, "statements of SQL by the protocol", async |wire| {
        let mut out = vec![wire.simple(&format!("PREPARE a(int) AS {BY_ID}")).await];
        out.push(wire.describe("a").sync().answer().await);
        wire.bind("a", &["2"]);
        about_portal(wire, b'D', "");
        out.push(wire.execute().sync().answer().await);
        out.push(wire.bind("a", &[]).sync().answer().await);
        out.push(wire.bind("a", &["x"]).sync().answer().await);
        out.push(wire.simple("BEGIN").await);
        out.push(wire.bind("a", &["1"]).execute_some(1).sync().answer().await);
        run(wire, "SELECT 1/0").close("a").sync();
        out.push(wire.answer().await);
        out.push(wire.simple("ROLLBACK").await);
        out.push(wire.bind("a", &["3"]).execute().sync().answer().await);
        out.push(wire.close("a").sync().answer().await);
        out.push(wire.bind("a", &["3"]).sync().answer().await);
        out.push(wire.simple("EXECUTE a(1)").await);
        out
    })
    .await;
}

/// Cursors of SQL and portals of the protocol, too.
#[tokio::test(flavor = "multi_thread")]
async fn portals_and_cursors_are_the_clients_own() {
    let stages = stages().await;
    compare(&stages, "cursors and portals", async |wire| {
        let mut out = texts(wire, &["BEGIN", &format!("DECLARE c CURSOR FOR {NAMES}")]).await;
        execute_portal(wire, "c", 1);
        about_portal(wire, b'D', "c");
        out.push(wire.sync().answer().await);
        wire.parse("s", NAMES);
        bind_portal(wire, "p", "s");
        execute_portal(wire, "p", 1);
        out.push(wire.sync().answer().await);
        let all = [
            "FETCH 1 FROM p",
            "FETCH ALL FROM c",
            "SELECT name, is_holdable FROM pg_cursors ORDER BY 1",
            "CLOSE p",
            "FETCH missing",
            "ROLLBACK",
            "FETCH c",
        ];
        out.extend(texts(wire, &all).await);
        // Nothing but the client's own is there: not what sets the path in front of it.
        wire.parse("", "SELECT name FROM pg_cursors ORDER BY 1");
        bind_portal(wire, "named", "");
        execute_portal(wire, "named", 0);
        wire.sync();
        out.push(wire.answer().await);
        wire.parse("", NAMES);
        about_portal(wire, b'D', "");
        wire.sync();
        out.push(wire.answer().await);
        wire.parse("", NAMES).execute().sync();
        out.push(wire.answer().await);
        wire.parse("", NAMES);
        about_portal(wire, b'C', "");
        wire.bind("", &[]).execute().sync();
        out.push(wire.answer().await);
        wire.parse("", NAMES);
        bind_portal(wire, "named", "");
        execute_portal(wire, "", 0);
        wire.sync();
        out.extend(answers(wire, 1).await);
        out
    })
    .await;
}

/// As sqlx's `query!` asks for the plan of what it has prepared.
#[tokio::test(flavor = "multi_thread")]
async fn explain_of_a_statement_of_the_protocol() {
    for stage in stages().await {
        let (mut wire, mut other) = (stage.wire("acme_corp").await, stage.wire("globex").await);
        assert_eq!(wire.parse("sqlx_s_1", BY_ID).describe("sqlx_s_1").sync().answer().await.tags(), "1tTZ");
        assert_eq!(other.extended(NAMES, &[]).await.code(), "");
        for text in [
            "EXPLAIN (VERBOSE, FORMAT JSON) EXECUTE sqlx_s_1(NULL)",
            "EXPLAIN EXECUTE sqlx_s_1(1)",
            "EXPLAIN ANALYZE VERBOSE EXECUTE sqlx_s_1(1)",
        ] {
            for answer in [wire.simple(text).await, wire.extended(text, &[]).await] {
                let plan = answer.column().join("\n");
                assert!(plan.contains("users") || plan.contains("Result"), "{text}: {plan}");
            }
        }
        assert_eq!(wire.bind("sqlx_s_1", &["1"]).execute().sync().answer().await.value(), ACME[0]);
    }
}

/// On whichever server, and behind whatever has happened to the statement there.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_run_by_name_is_prepared_where_it_is_missing() {
    let limit = "max_prepared_statements_per_server = 3";
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy).servers(2).line("limits", limit)).await;
        let (mut wire, mut other) = (stage.wire("acme_corp").await, stage.wire("globex").await);
        for number in 0..4 {
            let text = format!("SELECT name, {number} FROM users ORDER BY id");
            assert_eq!(wire.parse(&format!("s{number}"), &text).sync().answer().await.tags(), "1Z");
        }
        for _ in 0..2 {
            other.simple("BEGIN").await;
            for number in 0..4 {
                assert_eq!(wire.simple(&format!("EXECUTE s{number}")).await.column(), ACME);
                assert_eq!(wire.extended(&format!("EXECUTE s{number}"), &[]).await.column(), ACME);
                wire.simple("BEGIN").await;
                assert_eq!(wire.simple(&format!("EXECUTE s{number}")).await.column(), ACME);
                assert_eq!(wire.extended(&format!("EXECUTE s{number}"), &[]).await.column(), ACME);
                wire.simple("COMMIT").await;
            }
            other.simple("COMMIT").await;
        }
        let three = wire.simple("EXECUTE s0; EXECUTE s1; EXECUTE s2").await;
        assert_eq!(three.column(), [ACME, ACME, ACME].concat());
        let four = wire.simple("EXECUTE s0; EXECUTE s1; EXECUTE s2; EXECUTE s3").await;
        assert_eq!((four.code().as_str(), four.status()), ("54000", Some('I')));
        assert_eq!(wire.simple("EXECUTE s3").await.column(), ACME);
        // In a pipeline, without a Sync in front of it.
        wire.parse("", "SELECT 1").bind("", &[]).execute().query("EXECUTE s0");
        assert_eq!(wire.answer().await.column(), ["1", "Alice", "Bob", "Carol"]);

        // A table that is gone: the error is the statement's, and the request ends where it should.
        let server = stage.superuser().await;
        wire.simple("CREATE TABLE short (a int)").await;
        wire.parse("gone", "SELECT a FROM short").sync().answer().await;
        server.batch_execute("DROP TABLE acme_corp.short").await.unwrap();
        for _ in 0..2 {
            let gone = wire.simple("EXECUTE gone").await;
            assert_eq!((gone.code().as_str(), gone.status()), ("42P01", Some('I')), "{gone:?}");
            wire.simple("BEGIN").await;
            let gone = wire.simple("EXECUTE gone").await;
            assert_eq!((gone.code().as_str(), gone.status()), ("42P01", Some('E')), "{gone:?}");
            wire.simple("ROLLBACK").await;
            wire.parse("", "SELECT 1").bind("", &[]).execute().query("EXECUTE gone");
            let gone = wire.answer().await;
            assert_eq!((gone.code().as_str(), gone.status()), ("42P01", Some('I')), "{gone:?}");
        }
        assert_eq!(wire.simple(NAMES).await.column(), ACME);
    }
}

/// The guard's judgement of a statement counts where it is run by its name, too.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_guard_refuses_is_not_run_by_name_either() {
    for stage in stages().await {
        let server = stage.superuser().await;
        server.batch_execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO app").await.unwrap();
        let mut wire = stage.wire("acme_corp").await;
        let insert = "INSERT INTO users (name, email) VALUES ('evil', 'evil')";
        wire.parse("i", insert)
            .parse("begin", "BEGIN")
            .parse("tenant", "SHOW tenant")
            .parse("e", "EXECUTE e");
        assert_eq!(wire.sync().answer().await.code(), "");
        for text in [
            "SET search_path TO public; EXECUTE i",
            "BEGIN; SET LOCAL search_path TO public; EXECUTE i",
            "SET search_path TO public; EXPLAIN ANALYZE EXECUTE i",
        ] {
            let fault = wire.simple(text).await.fault().unwrap();
            assert_eq!(fault.code, "42501", "{text}: {}", fault.message);
            wire.simple("ROLLBACK; RESET search_path").await;
        }
        for before in ["SET search_path TO public", "BEGIN; SET LOCAL search_path TO public"] {
            wire.simple(before).await;
            assert_eq!(wire.simple("EXECUTE i").await.code(), "42501");
            wire.simple("ROLLBACK; RESET search_path").await;
            wire.simple(before).await;
            assert_eq!(wire.extended("EXECUTE i", &[]).await.code(), "42501");
            wire.simple("ROLLBACK; RESET search_path").await;
        }
        // Bound under the tenant's path, executed under another.
        run(&mut wire, "BEGIN").parse("", "EXECUTE i");
        bind_portal(&mut wire, "late", "");
        run(&mut wire, "SET LOCAL search_path TO public");
        execute_portal(&mut wire, "late", 0);
        // Where the proxy does not know yet what the schema holds, it would have to ask behind the Bind: it refuses that.
        let refused = wire.sync().answer().await.fault().unwrap();
        assert!(matches!(&*refused.code, "42501" | "0A000"), "{refused:?}");
        wire.simple("ROLLBACK").await;
        for text in ["EXECUTE begin", "EXECUTE tenant", "EXECUTE e", "EXPLAIN EXECUTE e"] {
            assert_eq!(wire.simple(text).await.code(), "0A000", "{text}");
            assert_eq!(wire.extended(text, &[]).await.code(), "0A000", "{text}");
        }
        let count = "SELECT count(*) FROM public.users WHERE name = 'evil'";
        assert_eq!(server.query_one(count, &[]).await.unwrap().get::<_, i64>(0), 0);
        assert_eq!(wire.simple("EXECUTE i").await.commands(), ["INSERT 0 1"]);
    }
}
