//! Corners of the protocol: what PostgreSQL answers to the same bytes is what the proxy answers.

use pgstrata_tests::compare::{
    PATIENCE, about_portal, answers, bind_portal, compare, execute_portal, flushed, run,
};
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::wire::{CANCEL_REQUEST, V3_2};
use pgstrata_tests::{ACME, GLOBEX, Setup, Stage, Wire};
use tokio::time::timeout;

const NAMES: &str = "SELECT name FROM users ORDER BY id";

/// A proxy with each strategy, each in front of a PostgreSQL of its own.
async fn stages() -> Vec<Stage> {
    let mut stages = Vec::new();
    for strategy in STRATEGIES {
        stages.push(Stage::new(Setup::new().strategy(strategy).servers(2)).await);
    }
    stages
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelines_with_errors_and_several_syncs() {
    let stages = stages().await;
    compare(&stages, "an error in the middle", async |wire| {
        for text in ["SELECT 1", "SELECT 1/0", "SELECT 2"] {
            run(wire, text);
        }
        wire.sync();
        run(wire, "SELECT 3").sync();
        run(wire, "no SQL").close("nothing").sync();
        run(wire, "SELECT 4").sync();
        answers(wire, 4).await
    })
    .await;
    compare(&stages, "a transaction over several pipelines", async |wire| {
        run(wire, "BEGIN");
        run(wire, "SELECT 1").sync();
        run(wire, "SELECT no_column").sync();
        run(wire, "SELECT 2").sync();
        run(wire, "ROLLBACK").sync();
        run(wire, NAMES).sync();
        answers(wire, 5).await
    })
    .await;
    compare(&stages, "nothing but Sync", async |wire| {
        wire.sync().sync().sync();
        answers(wire, 3).await
    })
    .await;
    compare(&stages, "a setting that an error takes back", async |wire| {
        run(wire, "SET statement_timeout = '5s'");
        run(wire, "SHOW statement_timeout").sync();
        run(wire, "SET statement_timeout = '6s'");
        run(wire, "SELECT 1/0").sync();
        run(wire, "SHOW statement_timeout").sync();
        answers(wire, 3).await
    })
    .await;
    compare(&stages, "a query in the middle of a pipeline", async |wire| {
        run(wire, "SELECT 1").query(NAMES);
        run(wire, "SELECT 2").sync();
        answers(wire, 2).await
    })
    .await;
    compare(&stages, "a query in a pipeline that failed", async |wire| {
        run(wire, "no SQL").query(NAMES);
        run(wire, "SELECT 2").sync();
        answers(wire, 1).await
    })
    .await;
}

/// Nor where the proxy knows the statement, or its name, and PostgreSQL need not be asked.
#[tokio::test(flavor = "multi_thread")]
async fn transaction_that_has_failed_prepares_nothing() {
    let stages = stages().await;
    compare(&stages, "a statement that the server has, and a name that is taken", async |wire| {
        wire.parse("a", NAMES).parse("b", NAMES).close("b").sync();
        run(wire, "BEGIN");
        run(wire, "SELECT 1/0").sync();
        wire.parse("b", NAMES).sync();
        wire.parse("a", NAMES).sync();
        wire.parse("c", "ROLLBACK").parse("d", "").sync();
        run(wire, "ROLLBACK").sync();
        wire.bind("a", &[]).execute().sync();
        answers(wire, 7).await
    })
    .await;
}

/// Where no server is asked for it, either.
#[tokio::test(flavor = "multi_thread")]
async fn discard_all_tells_what_parameters_are_again() {
    for stage in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        for value in ["one", "two"] {
            wire.simple(&format!("SET application_name = '{value}'")).await;
            let answer = wire.simple("DISCARD ALL").await;
            let told = answer.messages.iter().filter(|message| message.tag == b'S');
            let told: Vec<_> = told.map(|message| message.parameter()).collect();
            assert_eq!(told, [("application_name".to_owned(), String::new())]);
        }
    }
}

/// What the proxy answers by itself comes where PostgreSQL's answer would, also where both come in one piece.
#[tokio::test(flavor = "multi_thread")]
async fn answers_of_the_proxys_own_come_in_their_turn() {
    let stages = stages().await;
    compare(&stages, "statements that are known, and some that are closed", async |wire| {
        wire.parse("a", NAMES).parse("b", "SELECT 1").sync();
        let mut all = answers(wire, 1).await;
        wire.close("nothing").parse("c", NAMES).describe("a").bind("a", &[]).execute().close("b").close("a");
        run(wire.parse("a", "SELECT 2").bind("a", &[]).execute().close("c"), NAMES).close("nothing").sync();
        all.extend(answers(wire, 1).await);
        wire.parse("d", NAMES).bind("d", &[]).execute().close("d");
        run(wire, "SELECT 1/0").close("a").parse("e", NAMES).sync();
        for name in ["a", "d", "e"] {
            wire.bind(name, &[]).execute().sync();
        }
        all.extend(answers(wire, 4).await);
        all
    })
    .await;
    compare(&stages, "notices, settings and a COPY between them", async |wire| {
        wire.parse("a", NAMES).sync();
        let mut all = answers(wire, 1).await;
        run(wire.close("nothing"), "DROP TABLE IF EXISTS no_such_table").close("nothing").parse("b", NAMES);
        run(wire, "SET application_name = 'x'").close("b");
        run(wire, "COPY (SELECT name FROM users ORDER BY id) TO STDOUT").close("a").parse("a", NAMES);
        wire.bind("a", &[]).execute_some(1).close("a").sync();
        all.extend(answers(wire, 1).await);
        wire.query(
            "SELECT 1; DROP TABLE IF EXISTS no_such_table; SELECT 2; RESET application_name; SELECT 1/0",
        );
        wire.query("SELECT 3;; SELECT 4").close("a").sync();
        all.extend(answers(wire, 3).await);
        all
    })
    .await;
}

/// The transaction's end and what comes behind it, in one pipeline: the tenant's path holds there, too.
#[tokio::test(flavor = "multi_thread")]
async fn what_follows_the_end_of_a_failed_transaction() {
    let stages = stages().await;
    for end in ["ROLLBACK", "COMMIT", "ROLLBACK AND CHAIN", "ROLLBACK TO a"] {
        compare(&stages, end, async |wire| {
            let mut out = Vec::new();
            for text in ["BEGIN", "SAVEPOINT a", "SELECT 1/0"] {
                out.push(wire.simple(text).await);
            }
            run(wire, end);
            run(wire, NAMES);
            wire.parse("s", NAMES).bind("s", &[]).execute().sync();
            out.push(wire.answer().await);
            out.push(wire.simple("ROLLBACK").await);
            out
        })
        .await;
    }
}

/// A time-out that comes while PostgreSQL still reads the text leaves the transaction open, where what the proxy sends
/// behind its end fails as well: none of that is an answer to the client.
#[tokio::test(flavor = "multi_thread")]
async fn what_follows_the_end_of_a_transaction_that_does_not_run() {
    let long = " ".repeat(8 << 20);
    let stages = stages().await;
    for end in ["ROLLBACK", "COMMIT"] {
        compare(&stages, end, async |wire| {
            for text in ["SET lock_timeout = '5s'", "BEGIN", NAMES, "SET LOCAL statement_timeout = 2"] {
                wire.query(text);
            }
            let mut all = answers(wire, 4).await;
            wire.query(&format!("{end} /*{long}*/"));
            all.extend(answers(wire, 1).await);
            for text in ["SELECT 1", NAMES, "ROLLBACK", NAMES] {
                wire.query(text);
                all.extend(answers(wire, 1).await);
            }
            all
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_follows_the_end_of_a_transaction_with_a_path_of_its_own() {
    let stages = stages().await;
    for set in ["SET search_path TO public", "SET LOCAL search_path TO public"] {
        for end in ["ROLLBACK", "COMMIT"] {
            compare(&stages, &format!("{set}, {end}"), async |wire| {
                let mut out =
                    vec![wire.simple("BEGIN").await, wire.simple(set).await, wire.simple(NAMES).await];
                run(wire, end);
                run(wire, NAMES).sync();
                out.push(wire.answer().await);
                out.push(wire.simple(NAMES).await);
                out
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_live_on_where_nothing_dropped_them() {
    compare(&stages().await, "statements that a failed pipeline would have dropped", async |wire| {
        let mut out = vec![wire.parse("s", NAMES).sync().answer().await];
        for text in ["DEALLOCATE s", "DEALLOCATE ALL", "DISCARD ALL"] {
            run(wire, "SELECT 1/0");
            run(wire, text).sync();
            out.push(wire.answer().await);
            out.push(wire.bind("s", &[]).execute().sync().answer().await);
        }
        run(wire, "SELECT 1/0").close("s").sync();
        out.push(wire.answer().await);
        out.push(wire.bind("s", &[]).execute().sync().answer().await);
        out
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn own_notifications_come_before_the_end_of_the_request() {
    compare(&stages().await, "what a client sends to itself", async |wire| {
        let mut out = vec![wire.simple("LISTEN corners").await];
        run(wire, "SELECT pg_notify('corners', 'flushed')");
        out.push(flushed(wire, b'C').await);
        out.push(wire.sync().answer().await);
        for _ in 0..20 {
            out.push(wire.simple("SELECT pg_sleep(0.005), pg_notify('corners', 'at once')").await);
        }
        // The sender is another process each time.
        for message in out.iter_mut().flat_map(|answer| &mut answer.messages) {
            if message.tag == b'A' {
                message.body = message.body.slice(4..);
            }
        }
        out
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn flush_without_sync() {
    let stages = stages().await;
    compare(&stages, "answers before the Sync", async |wire| {
        let mut out = Vec::new();
        for text in ["SELECT 1", NAMES, "SELECT 2"] {
            run(wire, text);
            out.push(flushed(wire, b'C').await);
        }
        out.push(wire.sync().answer().await);
        out
    })
    .await;
    compare(&stages, "an error before the Sync", async |wire| {
        run(wire, "SELECT 1/0");
        let failed = flushed(wire, b'E').await;
        run(wire, "SELECT 1").sync();
        vec![failed, wire.answer().await]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn portals_with_row_limits() {
    let stages = stages().await;
    compare(&stages, "two portals in turn", async |wire| {
        wire.parse("s", NAMES);
        bind_portal(wire, "one", "s");
        bind_portal(wire, "two", "s");
        for (portal, rows) in [("one", 2), ("two", 1), ("one", 0), ("two", 1), ("one", 5), ("two", 0)] {
            execute_portal(wire, portal, rows);
            about_portal(wire, b'D', portal);
        }
        vec![wire.sync().answer().await]
    })
    .await;
    compare(&stages, "a portal over several pipelines", async |wire| {
        let mut out = vec![wire.simple("BEGIN").await];
        wire.parse("s", NAMES);
        bind_portal(wire, "p", "s");
        execute_portal(wire, "p", 1);
        out.push(wire.sync().answer().await);
        out.push(wire.simple("FETCH 1 FROM p").await);
        execute_portal(wire, "p", 1);
        out.push(wire.sync().answer().await);
        about_portal(wire, b'C', "p");
        execute_portal(wire, "p", 1);
        out.push(wire.sync().answer().await);
        out.push(wire.simple("ROLLBACK").await);
        out
    })
    .await;
    compare(&stages, "a name that is taken", async |wire| {
        wire.parse("s", NAMES);
        bind_portal(wire, "p", "s");
        bind_portal(wire, "p", "s");
        vec![wire.sync().answer().await]
    })
    .await;
    compare(&stages, "the unnamed portal ends with its transaction", async |wire| {
        wire.parse("", NAMES).bind("", &[]).execute_some(1).sync();
        let first = wire.answer().await;
        vec![first, wire.execute_some(1).sync().answer().await]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_nobody_knows() {
    let stages = stages().await;
    compare(&stages, "unknown names", async |wire| {
        let mut out = vec![wire.describe("nobody").sync().answer().await];
        about_portal(wire, b'D', "nobody");
        out.push(wire.sync().answer().await);
        out.push(wire.bind("nobody", &[]).sync().answer().await);
        execute_portal(wire, "nobody", 0);
        out.push(wire.sync().answer().await);
        about_portal(wire, b'C', "nobody");
        out.push(wire.close("nobody").sync().answer().await);
        out.push(wire.simple("DEALLOCATE nobody").await);
        out.push(wire.simple(NAMES).await);
        out
    })
    .await;
    compare(&stages, "a name twice", async |wire| {
        let mut out = vec![wire.parse("s", "SELECT 1").parse("s", "SELECT 2").sync().answer().await];
        wire.parse("s", "SELECT 3").close("s").parse("s", "SELECT 4").bind("s", &[]).execute().sync();
        out.push(wire.answer().await);
        out
    })
    .await;
    compare(&stages, "names in a transaction that failed", async |wire| {
        let mut out = vec![wire.simple("BEGIN").await, wire.simple("SELECT 1/0").await];
        out.push(wire.close("s").sync().answer().await);
        out.push(wire.parse("s", "SELECT 1").sync().answer().await);
        out.push(wire.parse("s", "ROLLBACK").bind("s", &[]).execute().sync().answer().await);
        out
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unnamed_statement_lives_until_the_next() {
    compare(&stages().await, "the unnamed statement", async |wire| {
        let mut out = vec![wire.parse("", NAMES).sync().answer().await];
        out.push(wire.bind("", &[]).execute().sync().answer().await);
        out.push(wire.bind("", &[]).execute().sync().answer().await);
        out.push(wire.parse("", "no SQL").sync().answer().await);
        out.push(wire.bind("", &[]).execute().sync().answer().await);
        out.push(wire.parse("", "SELECT 1").sync().answer().await);
        out.push(wire.simple("SELECT 2").await);
        out.push(wire.bind("", &[]).execute().sync().answer().await);
        out
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deallocate_in_the_extended_protocol() {
    compare(&stages().await, "DEALLOCATE of a statement of the protocol", async |wire| {
        let mut out = vec![wire.parse("s", NAMES).sync().answer().await];
        out.push(wire.extended("DEALLOCATE s", &[]).await);
        out.push(wire.bind("s", &[]).execute().sync().answer().await);
        out
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn same_name_on_two_clients() {
    for stage in stages().await {
        let (mut first, mut second) = (stage.wire("acme_corp").await, stage.wire("globex").await);
        first.parse("s", NAMES).sync().answer().await;
        second.parse("s", "SELECT count(*) FROM users").sync().answer().await;
        for _ in 0..3 {
            first.bind("s", &[]).execute().sync().flush().await;
            second.bind("s", &[]).execute().sync().flush().await;
            assert_eq!(first.until(b'Z').await.column(), ACME);
            assert_eq!(second.until(b'Z').await.value(), GLOBEX.len().to_string());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_queries() {
    compare(&stages().await, "empty texts", async |wire| {
        let mut out = Vec::new();
        for text in ["", ";", " -- nothing", "/* nothing */;;"] {
            out.push(wire.simple(text).await);
            out.push(wire.extended(text, &[]).await);
            wire.parse("", text).describe("").bind("", &[]);
            about_portal(wire, b'D', "");
            out.push(wire.execute().sync().answer().await);
        }
        out
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn states_of_a_failed_transaction() {
    compare(&stages().await, "a failed transaction", async |wire| {
        let mut out = Vec::new();
        for text in [
            "BEGIN",
            "SAVEPOINT a",
            "SELECT 1/0",
            NAMES,
            "",
            "SAVEPOINT b",
            "ROLLBACK TO a",
            NAMES,
            "no SQL",
            "COMMIT",
            NAMES,
            "SELECT 1; BEGIN; SELECT 2",
            "SELECT 1/0; COMMIT",
            "ROLLBACK; SELECT 3; SELECT 1/0",
            NAMES,
        ] {
            out.push(wire.simple(text).await);
        }
        for text in ["BEGIN", "SELECT 1/0", NAMES, "", "ROLLBACK"] {
            out.push(wire.extended(text, &[]).await);
        }
        out
    })
    .await;
}

const TABLE: &str = "CREATE TEMP TABLE copied (a int)";
const COPIED: &str = "SELECT a FROM copied ORDER BY a";

#[tokio::test(flavor = "multi_thread")]
async fn copy_in_the_simple_protocol() {
    compare(&stages().await, "COPY", async |wire| {
        let mut out = vec![wire.simple(TABLE).await];
        out.push(wire.query("COPY copied FROM STDIN").copy_data("1\n").copy_done().answer().await);
        // Between two statements of a text, and two in one.
        wire.query("COPY copied FROM STDIN; SELECT 1; COPY copied TO STDOUT").copy_data("2\n").copy_done();
        out.push(wire.answer().await);
        wire.query("COPY copied FROM STDIN; COPY copied FROM STDIN");
        wire.copy_data("3\n").copy_done().copy_data("4\n").copy_done();
        out.push(wire.answer().await);
        // What comes behind an error is dropped.
        wire.query("COPY copied FROM STDIN").copy_data("x\n").copy_data("5\n").copy_done().query(COPIED);
        out.extend(answers(wire, 2).await);
        out.push(wire.query("COPY copied FROM STDIN").copy_data("6\n").copy_fail("no").answer().await);
        out.push(wire.simple("COPY (SELECT 1/0) TO STDOUT").await);
        out.push(wire.simple("COPY (SELECT 1/(g - 2) FROM generate_series(1, 3) g) TO STDOUT").await);
        // Belongs to nothing.
        wire.copy_data("7\n").copy_done().copy_fail("no").query(COPIED);
        out.push(wire.answer().await);
        out
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_in_the_extended_protocol() {
    let stages = stages().await;
    compare(&stages, "COPY that is waited for", async |wire| {
        let mut out = vec![wire.simple(TABLE).await];
        for data in ["1\n", "x\n"] {
            run(wire, "COPY copied FROM STDIN");
            out.push(flushed(wire, b'G').await);
            out.push(wire.copy_data(data).copy_data("2\n").copy_done().sync().answer().await);
        }
        run(wire, "COPY copied FROM STDIN");
        out.push(flushed(wire, b'G').await);
        out.push(wire.copy_data("3\n").copy_fail("no").sync().answer().await);
        out.push(wire.extended("COPY copied TO STDOUT", &[]).await);
        out.push(wire.extended("COPY (SELECT 1/(g - 2) FROM generate_series(1, 3) g) TO STDOUT", &[]).await);
        out.push(wire.simple(COPIED).await);
        out
    })
    .await;
    compare(&stages, "COPY with a Sync in front of its data", async |wire| {
        let mut out = vec![wire.simple(TABLE).await];
        run(wire, "COPY copied FROM STDIN").sync().flush().await;
        out.push(wire.until(b'G').await);
        out.push(wire.copy_data("1\n").copy_done().sync().answer().await);
        out.push(wire.simple(COPIED).await);
        out
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_whose_data_comes_at_once() {
    compare(&stages().await, "COPY in one write", async |wire| {
        let mut out = vec![wire.simple(TABLE).await];
        run(wire, "COPY copied FROM STDIN").message(b'H', b"").copy_data("1\n").copy_done().sync();
        out.push(wire.answer().await);
        run(wire, "COPY copied FROM STDIN").message(b'H', b"").copy_data("2\n").copy_fail("no").sync();
        out.push(wire.answer().await);
        out.push(wire.simple(COPIED).await);
        run(wire, "SELECT 1");
        run(wire, "COPY copied FROM STDIN").message(b'H', b"").copy_data("3\n").copy_done().sync();
        out.push(wire.answer().await);
        out.push(wire.simple(COPIED).await);
        out
    })
    .await;
}

async fn cancel(stage: &Stage, key: &[u8]) {
    let mut wire = Wire::connect(stage.port()).await;
    wire.packet(CANCEL_REQUEST, key).await;
    assert!(wire.receive().await.is_none(), "a cancel request has no answer");
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_is_cancelled() {
    for stage in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        wire.simple(TABLE).await;
        wire.query("COPY copied FROM STDIN").flush().await;
        wire.until(b'G').await;
        wire.copy_data("1\n").flush().await;
        cancel(&stage, &wire.key).await;
        let answer = wire.copy_data("2\n").copy_done().answer().await;
        assert_eq!((answer.code().as_str(), answer.status()), ("57014", Some('I')));
        assert_eq!(wire.simple("SELECT count(*) FROM copied").await.value(), "0");

        wire.query("COPY (SELECT generate_series(1, 1000000000)) TO STDOUT").flush().await;
        wire.until(b'd').await;
        cancel(&stage, &wire.key).await;
        let answer = wire.until(b'Z').await;
        assert_eq!((answer.code().as_str(), answer.status()), ("57014", Some('I')));
        assert_eq!(wire.simple(NAMES).await.column(), ACME);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn long_keys_cancel() {
    let stage = Stage::new(Setup::new().servers(1)).await;
    let mut wire = Wire::connect(stage.port()).await;
    let parameters = [("user", "app"), ("database", "app"), ("options", "-ctenant=acme_corp")];
    wire.startup(V3_2, &parameters).await;
    wire.authenticate("app").await.expect("the tenant is let in");
    assert_eq!(wire.key.len(), 4 + 32, "a process id and a long key");
    wire.query("COPY (SELECT generate_series(1, 1000000000)) TO STDOUT").flush().await;
    wire.until(b'd').await;
    // The beginning of a key opens nothing: there is more to come.
    cancel(&stage, &wire.key[..8]).await;
    for _ in 0..100 {
        assert_eq!(wire.until_any(b"dE").await.messages.last().unwrap().tag, b'd');
    }
    cancel(&stage, &wire.key).await;
    assert_eq!(wire.until(b'Z').await.code(), "57014");
    assert_eq!(wire.simple(NAMES).await.column(), ACME);
}

#[tokio::test(flavor = "multi_thread")]
async fn very_large_parameters() {
    const LENGTH: usize = 32 << 20;
    let large = "x".repeat(LENGTH);
    for stage in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        let length = wire.extended("SELECT length($1)", &[&large]).await.value();
        assert_eq!(length, LENGTH.to_string());
        assert!(wire.extended("SELECT $1::text", &[&large]).await.value() == large, "it comes back whole");
        // Behind a refusal and behind an error, all of it is dropped.
        let refused = wire.extended("SELECT $1 FROM globex.users", &[&large]).await;
        assert_eq!((refused.code().as_str(), refused.status()), ("42501", Some('I')));
        let failed = wire.extended("SELECT length($1)/0", &[&large]).await;
        assert_eq!((failed.code().as_str(), failed.status()), ("22012", Some('I')));
        assert_eq!(wire.simple(NAMES).await.column(), ACME);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replication_is_refused() {
    let stage = Stage::new(Setup::new()).await;
    let login = async |value| {
        let parameters = [("options", "-ctenant=acme_corp"), ("replication", value)];
        Wire::login(stage.port(), "app", "app", &parameters).await
    };
    for value in ["true", "database", "on", "1"] {
        let fault = login(value).await.expect_err("a walsender would serve all tenants");
        assert_eq!((fault.severity.as_str(), fault.code.as_str()), ("FATAL", "0A000"), "{value}: {fault:?}");
        assert!(fault.message.contains("replication"), "{fault:?}");
    }
    for value in ["false", "off", "0"] {
        assert_eq!(login(value).await.expect("no replication").simple(NAMES).await.column(), ACME);
    }
}

/// DDL past the proxy makes the request run again; what is answered without a server is answered, too.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_where_a_plan_was_overtaken() {
    for stage in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        wire.parse("s", "SELECT * FROM users").parse("t", "SELECT 1").parse("tenant", "SHOW tenant");
        assert_eq!(wire.bind("s", &[]).execute().sync().answer().await.tags(), "1112DDDCZ");
        let server = stage.superuser().await;
        server.batch_execute("ALTER TABLE acme_corp.users ADD COLUMN one int").await.unwrap();
        wire.bind("s", &[]).execute().close("t").sync();
        let closed = timeout(PATIENCE, wire.answer()).await.expect("it ends");
        assert_eq!(closed.tags(), "2DDDC3Z");
        assert_eq!(wire.bind("t", &[]).execute().sync().answer().await.code(), "26000");

        server.batch_execute("ALTER TABLE acme_corp.users DROP COLUMN one").await.unwrap();
        wire.bind("s", &[]).execute().bind("tenant", &[]).execute().sync();
        let shown = timeout(PATIENCE, wire.answer()).await.expect("it ends");
        assert_eq!(shown.tags(), "2DDDC2DCZ");
    }
}
