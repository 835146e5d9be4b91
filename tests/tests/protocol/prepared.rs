//! Named prepared statements, on servers that change under them.

use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::{ACME, GLOBEX, Setup, Stage, Wire};

const NAMES: &str = "SELECT name FROM users ORDER BY id";

/// One server, and then two, under each strategy.
async fn stages() -> Vec<Stage> {
    let mut stages = Vec::new();
    for strategy in STRATEGIES {
        for servers in [1, 2] {
            stages.push(Stage::new(Setup::new().strategy(strategy).servers(servers)).await);
        }
    }
    stages
}

async fn prepare(wire: &mut Wire, name: &str, text: &str) {
    assert_eq!(wire.parse(name, text).sync().answer().await.tags(), "1Z", "{text}");
}

async fn run(wire: &mut Wire, name: &str) -> Vec<String> {
    wire.bind(name, &[]).execute().sync().answer().await.column()
}

#[tokio::test(flavor = "multi_thread")]
async fn same_name_means_another_text_on_another_client() {
    for stage in stages().await {
        let (mut first, mut second) = (stage.wire("acme_corp").await, stage.wire("acme_corp").await);
        prepare(&mut first, "s", NAMES).await;
        prepare(&mut second, "s", "SELECT title FROM posts ORDER BY id").await;
        for _ in 0..4 {
            assert_eq!(run(&mut first, "s").await, ACME);
            assert_eq!(run(&mut second, "s").await, ["Rocket skates", "Giant magnets"]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn same_text_of_two_tenants_on_the_same_servers() {
    for stage in stages().await {
        let (mut acme, mut globex) = (stage.wire("acme_corp").await, stage.wire("globex").await);
        prepare(&mut acme, "s", NAMES).await;
        prepare(&mut globex, "s", NAMES).await;
        for _ in 0..10 {
            assert_eq!(run(&mut acme, "s").await, ACME);
            assert_eq!(run(&mut globex, "s").await, GLOBEX);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_tenant_between_parse_and_bind() {
    for stage in stages().await {
        let (mut acme, mut globex) = (stage.wire("acme_corp").await, stage.wire("globex").await);
        for _ in 0..5 {
            assert_eq!(acme.parse("", NAMES).sync().answer().await.tags(), "1Z");
            assert_eq!(globex.extended(NAMES, &[]).await.column(), GLOBEX);
            assert_eq!(run(&mut acme, "").await, ACME);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn name_lives_across_transactions() {
    for stage in stages().await {
        let (mut first, mut second) = (stage.wire("acme_corp").await, stage.wire("globex").await);
        first.simple("BEGIN").await;
        prepare(&mut first, "s", NAMES).await;
        first.simple("ROLLBACK").await;
        assert_eq!(second.simple(NAMES).await.column(), GLOBEX);
        first.simple("BEGIN").await;
        assert_eq!(run(&mut first, "s").await, ACME);
        first.simple("COMMIT").await;
        assert_eq!(run(&mut first, "s").await, ACME);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_described() {
    for stage in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        prepare(&mut wire, "s", "SELECT name FROM users WHERE id = $1").await;
        for _ in 0..3 {
            assert_eq!(wire.describe("s").sync().answer().await.tags(), "tTZ");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_name_is_gone_and_free() {
    for stage in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        prepare(&mut wire, "s", NAMES).await;
        assert_eq!(wire.close("s").sync().answer().await.tags(), "3Z");
        assert_eq!(wire.bind("s", &[]).execute().sync().answer().await.code(), "26000");
        prepare(&mut wire, "s", "SELECT title FROM posts WHERE id = 1").await;
        assert_eq!(run(&mut wire, "s").await, ["Rocket skates"]);
        assert_eq!(wire.close("never-there").sync().answer().await.tags(), "3Z");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn name_in_use_is_refused() {
    for stage in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        prepare(&mut wire, "s", NAMES).await;
        assert_eq!(wire.parse("s", "SELECT 1").sync().answer().await.code(), "42P05");
        assert_eq!(run(&mut wire, "s").await, ACME);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deallocate_all_and_discard_all_forget_every_name() {
    for stage in stages().await {
        for statement in ["DEALLOCATE ALL", "DISCARD ALL"] {
            let (mut wire, mut other) = (stage.wire("acme_corp").await, stage.wire("globex").await);
            prepare(&mut wire, "s", NAMES).await;
            prepare(&mut other, "s", NAMES).await;
            assert_eq!(wire.simple(statement).await.fault(), None);
            assert_eq!(wire.bind("s", &[]).execute().sync().answer().await.code(), "26000", "{statement}");
            assert_eq!(run(&mut other, "s").await, GLOBEX, "{statement} is nothing to other clients");
            prepare(&mut wire, "s", NAMES).await;
            assert_eq!(run(&mut wire, "s").await, ACME);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deallocate_by_the_extended_protocol() {
    for stage in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        for begin in ["SELECT 1", "BEGIN"] {
            prepare(&mut wire, "s", NAMES).await;
            wire.simple(begin).await;
            let answer =
                wire.parse("", "DEALLOCATE s").describe("").bind("", &[]).execute().sync().answer().await;
            assert_eq!(
                (answer.tags().as_str(), answer.commands()),
                ("1tn2CZ", vec!["DEALLOCATE".to_owned()])
            );
            assert_eq!(wire.bind("s", &[]).execute().sync().answer().await.code(), "26000");
            wire.simple("ROLLBACK").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn table_changes_between_executions() {
    for stage in stages().await {
        let (mut reader, mut owner) = (stage.wire("acme_corp").await, stage.wire("acme_corp").await);
        owner.simple("CREATE TABLE changing (a text)").await;
        owner.simple("INSERT INTO changing VALUES ('a')").await;
        prepare(&mut reader, "s", "SELECT * FROM changing").await;
        assert_eq!(run(&mut reader, "s").await, ["a"]);
        for change in ["ADD COLUMN b text DEFAULT 'b'", "DROP COLUMN b", "ALTER COLUMN a TYPE varchar(9)"] {
            assert_eq!(owner.simple(&format!("ALTER TABLE changing {change}")).await.fault(), None);
            // PostgreSQL's `cached plan must not change result type` is nobody's fault.
            assert_eq!(run(&mut reader, "s").await, ["a"], "after {change}");
        }
    }
}

/// A client that was told of a statement's columns reads its rows by them.
#[tokio::test(flavor = "multi_thread")]
async fn columns_that_were_described_do_not_change_silently() {
    for stage in stages().await {
        let (mut reader, mut owner) = (stage.wire("acme_corp").await, stage.wire("acme_corp").await);
        owner.simple("CREATE TABLE changing (a text); INSERT INTO changing VALUES ('a')").await;
        for name in ["s", ""] {
            reader.parse(name, "SELECT * FROM changing").describe(name).sync().answer().await;
            assert_eq!(run(&mut reader, name).await, ["a"]);
            // What changes nothing that was told is none of the client's business.
            owner
                .simple("CREATE INDEX ON changing (a); ALTER TABLE changing ALTER COLUMN a SET NOT NULL")
                .await;
            assert_eq!(run(&mut reader, name).await, ["a"]);
            owner.simple("ALTER TABLE changing ADD COLUMN b integer").await;
            for _ in 0..2 {
                let answer = reader.bind(name, &[]).execute().sync().answer().await;
                let fault = answer.fault().expect("an error");
                assert_eq!(
                    (fault.code.as_str(), fault.message.as_str()),
                    ("0A000", "cached plan must not change result type")
                );
                assert_eq!((answer.tags().as_str(), answer.status()), ("EZ", Some('I')));
            }
            // As drivers do then.
            reader.close(name).parse(name, "SELECT * FROM changing").describe(name).sync().answer().await;
            assert_eq!(run(&mut reader, name).await, ["a"]);
            owner.simple("ALTER TABLE changing DROP COLUMN b").await;
            // One that describes again, knows again.
            let answer = reader.describe(name).bind(name, &[]).execute().sync().answer().await;
            assert_eq!((answer.tags().as_str(), answer.column()), ("tT2DCZ", vec!["a".to_owned()]));
            // In a transaction it fails with it.
            owner.simple("ALTER TABLE changing ADD COLUMN b integer").await;
            reader.simple("BEGIN").await;
            if name.is_empty() {
                // A simple query drops the unnamed statement.
                reader.simple("ROLLBACK").await;
            } else {
                let answer = reader.bind(name, &[]).execute().sync().answer().await;
                assert_eq!((answer.code().as_str(), answer.status()), ("0A000", Some('E')));
                reader.simple("ROLLBACK").await;
            }
            owner.simple("ALTER TABLE changing DROP COLUMN b").await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_parse_leaves_no_name() {
    for stage in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        assert_eq!(wire.parse("s", "SELECT * FROM missing").sync().answer().await.code(), "42P01");
        assert_eq!(wire.bind("s", &[]).execute().sync().answer().await.code(), "26000");
        prepare(&mut wire, "s", NAMES).await;
        assert_eq!(run(&mut wire, "s").await, ACME);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_statements_on_one_server_are_bounded() {
    let limit = "max_prepared_statements_per_server = 10";
    let stage = Stage::new(Setup::new().servers(1).line("limits", limit)).await;
    // Tenants may not look there themselves.
    let view =
        "CREATE VIEW public.kept AS SELECT count(*) FROM pg_prepared_statements; GRANT SELECT ON kept TO app";
    stage.superuser().await.batch_execute(view).await.unwrap();
    let mut wire = stage.wire("acme_corp").await;
    for number in 0..50 {
        prepare(&mut wire, &format!("s{number}"), &format!("SELECT '{number}' FROM users WHERE id = 1"))
            .await;
    }
    for number in 0..50 {
        assert_eq!(run(&mut wire, &format!("s{number}")).await, [number.to_string()]);
    }
    let count = wire.simple("SELECT count FROM kept").await.value();
    // What the proxy prepares for itself is there as well.
    assert!(count.parse::<u32>().unwrap() <= 14, "{count} statements on the server");
}

#[tokio::test(flavor = "multi_thread")]
async fn unnamed_statement_outlives_what_the_proxy_sends_in_between() {
    for stage in stages().await {
        let mut client = stage.wire("acme_corp").await;
        let mut other = stage.wire("globex").await;
        other.simple("SET application_name = 'other'").await;
        prepare(&mut client, "n", NAMES).await;
        // The path is set between its Parse and its Bind, in a block.
        prepare(&mut client, "begin", "BEGIN").await;
        client.bind("begin", &[]).execute().sync().answer().await;
        prepare(&mut client, "", "SELECT 1").await;
        assert_eq!(run(&mut client, "n").await, ACME);
        assert_eq!(run(&mut client, "").await, ["1"]);
        client.simple("COMMIT").await;
        // Another client's settings are, on the same server.
        prepare(&mut client, "", "SELECT 2").await;
        assert_eq!(run(&mut client, "").await, ["2"]);
        assert_eq!(other.simple(NAMES).await.column(), GLOBEX);
        assert_eq!(run(&mut client, "").await, ["2"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn path_is_set_behind_the_begin_of_a_pipeline() {
    for stage in stages().await {
        let mut client = stage.wire("acme_corp").await;
        for lock in ["LOCK TABLE users IN SHARE MODE", "SAVEPOINT a"] {
            client.parse("", "BEGIN ISOLATION LEVEL REPEATABLE READ").bind("", &[]).execute();
            client.parse("", lock).bind("", &[]).execute();
            client.parse("", NAMES).bind("", &[]).execute();
            let answer = client.parse("", "COMMIT").bind("", &[]).execute().sync().answer().await;
            assert_eq!(answer.column(), ACME, "{lock}");
            assert_eq!(answer.status(), Some('I'));
        }
    }
}

/// A request that is run again is answered once, with all that belongs to it.
#[tokio::test(flavor = "multi_thread")]
async fn close_behind_a_statement_that_is_prepared_anew() {
    for stage in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        prepare(&mut wire, "s", "SELECT * FROM users ORDER BY id").await;
        prepare(&mut wire, "t", "SELECT 1").await;
        wire.bind("s", &[]).execute().sync().answer().await;
        let server = stage.superuser().await;
        server.batch_execute("ALTER TABLE acme_corp.users ADD COLUMN more text").await.unwrap();
        let answer = wire.bind("s", &[]).execute().close("t").sync().answer().await;
        assert_eq!(answer.tags(), "2DDDC3Z");
        assert_eq!(wire.bind("t", &[]).execute().sync().answer().await.code(), "26000");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_data_may_follow_at_once() {
    for stage in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        wire.simple("CREATE TABLE copied (a text)").await;
        for flush in [true, false] {
            wire.parse("", "COPY copied FROM STDIN").bind("", &[]).execute();
            if flush {
                wire.message(b'H', b"");
            }
            let answer = wire.copy_data("x\n").copy_done().sync().answer().await;
            assert_eq!((answer.tags().as_str(), answer.commands()), ("12GCZ", vec!["COPY 1".to_owned()]));
            // As libpq sends it: a Sync before it knows, and another behind the data.
            wire.parse("", "COPY copied FROM STDIN").bind("", &[]).execute().sync().flush().await;
            wire.until(b'G').await;
            let answer = wire.copy_data("y\n").copy_done().sync().answer().await;
            assert_eq!(answer.commands(), ["COPY 1"]);
        }
        wire.parse("", "COPY missing FROM STDIN").bind("", &[]).execute();
        let failed = wire.copy_data("x\n").copy_done().sync().answer().await;
        assert_eq!((failed.code().as_str(), failed.status()), ("42P01", Some('I')));
        assert_eq!(wire.simple("SELECT count(*) FROM copied").await.value(), "4");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn discard_all_that_fails_forgets_nothing() {
    for stage in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        prepare(&mut wire, "s", NAMES).await;
        wire.parse("", "SELECT 1").bind("", &[]).execute();
        let failed = wire.parse("", "DISCARD ALL").bind("", &[]).execute().sync().answer().await;
        assert_eq!(failed.code(), "25001");
        assert_eq!(run(&mut wire, "s").await, ACME);
    }
}
