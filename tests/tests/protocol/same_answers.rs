//! Where the proxy knows an answer before PostgreSQL gives it, and where it stands in PostgreSQL's place: the client
//! reads what PostgreSQL would say.

use pgstrata_tests::compare::{answers, compare, run};
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::{ACME, Answer, GLOBEX, PUBLIC, Setup, Stage, Wire};

const NAMES: &str = "SELECT name FROM users ORDER BY id";

/// A proxy with each strategy, each in front of a PostgreSQL of its own.
async fn stages() -> Vec<Stage> {
    let mut stages = Vec::new();
    for strategy in STRATEGIES {
        stages.push(Stage::new(Setup::new().strategy(strategy).servers(1)).await);
    }
    stages
}

/// The answers to texts, in the simple protocol.
async fn texts(wire: &mut Wire, texts: &[&str]) -> Vec<Answer> {
    let mut out = Vec::new();
    for text in texts {
        out.push(wire.simple(text).await);
    }
    out
}

/// PostgreSQL parses a text before it looks whether its name is taken: the text's own error comes first.
#[tokio::test(flavor = "multi_thread")]
async fn error_of_a_text_comes_before_that_of_its_name() {
    let stages = stages().await;
    let bad = [
        "no SQL",
        "SELECT no_column FROM users",
        "SELECT name FROM no_table",
        "SELECT 1; SELECT 2",
        "SELECT 'x'::int + name FROM users",
        "SELECT $3 FROM users",
        "INSERT INTO users (no_column) VALUES (1)",
        "EXECUTE missing",
        "DEALLOCATE taken",
        "SELECT 2",
        "SELECT name FROM users",
        "",
    ];
    compare(&stages, "Parse under a name that is taken", async |wire| {
        let mut out = vec![wire.parse("taken", NAMES).parse("", "SELECT 5").sync().answer().await];
        for text in bad {
            out.push(wire.parse("taken", text).sync().answer().await);
        }
        // The old one is there, and so is the unnamed one.
        out.push(wire.bind("taken", &[]).execute().bind("", &[]).execute().sync().answer().await);
        out
    })
    .await;
    compare(&stages, "the same behind other messages, and in transactions", async |wire| {
        let mut out = vec![wire.parse("taken", NAMES).sync().answer().await];
        for text in bad {
            run(wire, NAMES);
            out.push(wire.parse("taken", text).bind("taken", &[]).execute().sync().answer().await);
            out.push(wire.simple("BEGIN").await);
            run(wire, NAMES);
            out.push(wire.parse("taken", text).sync().answer().await);
            out.push(wire.parse("taken", text).sync().answer().await);
            out.push(wire.simple("ROLLBACK").await);
        }
        out.push(wire.bind("taken", &[]).execute().sync().answer().await);
        out
    })
    .await;
    compare(&stages, "a name of SQL PREPARE", async |wire| {
        let mut out = vec![wire.simple("PREPARE taken AS SELECT 1").await];
        for text in bad {
            out.push(wire.parse("taken", text).sync().answer().await);
        }
        out.push(wire.bind("taken", &[]).execute().sync().answer().await);
        out
    })
    .await;
}

/// What the guard refuses is refused, whatever the name is.
#[tokio::test(flavor = "multi_thread")]
async fn name_that_is_taken_lets_nothing_through() {
    for stage in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        wire.parse("taken", NAMES).sync().answer().await;
        for text in ["SELECT name FROM globex.users", "DO 'BEGIN END'", "SELECT pg_read_file('x')"] {
            assert_eq!(wire.parse("taken", text).sync().answer().await.code(), "42501", "{text}");
        }
        assert_eq!(wire.bind("taken", &[]).execute().sync().answer().await.column(), ACME);
    }
}

/// A statement that drops all prepared statements may fail: then all of them are there, on the server as well.
#[tokio::test(flavor = "multi_thread")]
async fn statements_are_there_when_dropping_all_of_them_has_failed() {
    let stages = stages().await;
    for temporary in [false, true] {
        compare(&stages, &format!("DISCARD ALL that fails, temporary table: {temporary}"), async |wire| {
            let mut out = vec![wire.parse("a", NAMES).sync().answer().await];
            out.push(wire.extended(NAMES, &[]).await);
            if temporary {
                out.push(wire.simple("CREATE TEMP TABLE held (a int)").await);
            }
            for end in ["ROLLBACK", "COMMIT"] {
                out.push(wire.simple("BEGIN").await);
                out.push(wire.bind("a", &[]).execute().sync().answer().await);
                out.push(wire.extended("DISCARD ALL", &[]).await);
                out.push(wire.simple(end).await);
                out.push(wire.extended(NAMES, &[]).await);
                out.push(wire.bind("a", &[]).execute().sync().answer().await);
                out.push(wire.parse("b", NAMES).bind("b", &[]).execute().close("b").sync().answer().await);
                out.push(wire.simple("EXECUTE a").await);
            }
            out
        })
        .await;
        compare(&stages, "statements that drop all, behind an error", async |wire| {
            let mut out = vec![wire.parse("a", NAMES).sync().answer().await];
            if temporary {
                out.push(wire.simple("CREATE TEMP TABLE held (a int); PREPARE s AS SELECT 7").await);
            }
            for all in ["DEALLOCATE ALL", "DISCARD ALL"] {
                run(wire, "SELECT 1/0");
                run(wire, all);
                wire.parse("a", "SELECT 2");
                run(wire, all).sync();
                out.push(wire.answer().await);
                out.push(wire.extended(NAMES, &[]).await);
                out.push(wire.bind("a", &[]).execute().sync().answer().await);
                run(wire, NAMES);
                run(wire, all);
                run(wire, "SELECT 1/0").sync();
                out.push(wire.answer().await);
                out.push(wire.simple("BEGIN").await);
                run(wire, NAMES);
                run(wire, "DISCARD ALL");
                run(wire, all).sync();
                out.push(wire.answer().await);
                out.push(wire.simple("ROLLBACK").await);
                out.push(wire.bind("a", &[]).execute().sync().answer().await);
                out.push(wire.parse("a", NAMES).sync().answer().await);
            }
            if temporary {
                out.push(wire.simple("EXECUTE s").await);
            }
            out
        })
        .await;
        compare(&stages, "statements that drop all, and more behind them", async |wire| {
            let mut out = vec![wire.parse("a", NAMES).sync().answer().await];
            if temporary {
                out.push(wire.simple("CREATE TEMP TABLE held (a int)").await);
            }
            run(wire, "DEALLOCATE ALL");
            wire.parse("a", "SELECT 2").bind("a", &[]).execute();
            run(wire, "DEALLOCATE ALL");
            wire.parse("a", NAMES).bind("a", &[]).execute().sync();
            out.push(wire.answer().await);
            out.push(wire.bind("a", &[]).execute().sync().answer().await);
            out
        })
        .await;
    }
}

/// The number that a statement has on its server is settled before a text is written with it.
#[tokio::test(flavor = "multi_thread")]
async fn statement_is_run_by_name_under_settings_of_the_transaction() {
    let stages = stages().await;
    for set in
        ["SET LOCAL datestyle TO 'SQL, DMY'", "SET LOCAL timezone TO 'UTC'", "SET LOCAL array_nulls TO off"]
    {
        compare(&stages, set, async |wire| {
            // Read in one way by each style, and written by the one that is in force.
            let date = "SELECT name, '2020-02-03'::date::text FROM users ORDER BY id";
            let mut out =
                vec![wire.parse("a", date).parse("b", date).parse("e", "EXECUTE a").sync().answer().await];
            // Those on the server are none of this client's any more.
            out.push(wire.simple("SELECT 1").await);
            out.extend(texts(wire, &["BEGIN", set]).await);
            wire.parse("late", date).sync();
            out.push(wire.answer().await);
            out.extend(texts(wire, &["EXECUTE late", "EXECUTE a", "EXPLAIN (COSTS OFF) EXECUTE b"]).await);
            out.push(wire.extended("EXECUTE b", &[]).await);
            out.push(wire.bind("e", &[]).execute().sync().answer().await);
            out.push(wire.simple("COMMIT").await);
            out.extend(texts(wire, &["EXECUTE late", "EXECUTE a"]).await);
            out
        })
        .await;
    }
    // On a server that has none of them.
    for strategy in STRATEGIES {
        let limit = "max_prepared_statements_per_server = 2";
        let stage = Stage::new(Setup::new().strategy(strategy).servers(1).line("limits", limit)).await;
        let mut wire = stage.wire("acme_corp").await;
        wire.parse("a", NAMES).parse("e", "EXECUTE a").sync().answer().await;
        for round in 0..2 {
            for number in 0..3 {
                let text = format!("SELECT {number}, {round}");
                wire.parse(&format!("s{number}{round}"), &text).sync().answer().await;
            }
            wire.simple("BEGIN").await;
            wire.simple("SET LOCAL datestyle TO 'SQL, DMY'").await;
            let answers = match round {
                0 => [wire.simple("EXECUTE a").await, wire.simple("EXECUTE a").await],
                _ => [
                    wire.bind("e", &[]).execute().sync().answer().await,
                    wire.extended("EXECUTE a", &[]).await,
                ],
            };
            for answer in answers {
                assert_eq!(answer.column(), ACME, "{strategy}, round {round}: {answer:?}");
            }
            assert_eq!(wire.simple("COMMIT").await.status(), Some('I'));
        }
    }
}

/// A write to what a client may only read is refused as such, whether it holds temporary tables or not.
#[tokio::test(flavor = "multi_thread")]
async fn temporary_tables_hide_no_refusal() {
    for stage in stages().await {
        let public = Wire::login(stage.port(), "app", "app", &[]).await.expect("no tenant is no error");
        for mut wire in [public, stage.wire("acme_corp").await] {
            assert_eq!(wire.simple("CREATE TEMP TABLE held (a int)").await.code(), "");
            for text in [
                "UPDATE pg_class SET relname = relname",
                "DELETE FROM pg_attribute",
                "UPDATE plans SET name = name",
                "TRUNCATE plans",
                "DROP TABLE plans",
            ] {
                for answer in [wire.simple(text).await, wire.extended(text, &[]).await] {
                    let fault = answer.fault().expect(text);
                    assert_eq!(fault.code, "42501", "{text}: {fault:?}");
                    assert!(!fault.message.contains("pg_temp"), "{text}: {fault:?}");
                }
            }
            for text in
                ["UPDATE no_table SET a = 1", "DROP TABLE no_table", "UPDATE pg_temp.no_table SET a = 1"]
            {
                for answer in [wire.simple(text).await, wire.extended(text, &[]).await] {
                    let fault = answer.fault().expect(text);
                    assert_eq!(fault.code, "42P01", "{text}: {fault:?}");
                    assert_eq!(fault.message.contains("pg_temp"), text.contains("pg_temp"), "{fault:?}");
                }
            }
            assert_eq!(wire.simple("UPDATE held SET a = 1").await.code(), "");
            assert_eq!(wire.simple("CREATE TEMP TABLE plans (name text)").await.code(), "");
            assert_eq!(wire.simple("INSERT INTO plans VALUES ('mine')").await.commands(), ["INSERT 0 1"]);
        }
    }
}

/// Functions that run or read what their arguments name find the tenant's, under each strategy.
#[tokio::test(flavor = "multi_thread")]
async fn functions_that_take_names_find_the_tenants_tables() {
    let user = "name = 'runs'\npassword = 'app'\ntenants = ['*']\ndynamic_sql = 'allow'";
    for strategy in STRATEGIES {
        let stage = Stage::new(Setup::new().strategy(strategy).servers(1).user(user)).await;
        for (tenant, own) in [("acme_corp", ACME[0]), ("globex", GLOBEX[0])] {
            let option = pgstrata_tests::stage::tenant_option(tenant);
            let login = Wire::login(stage.port(), "runs", "app", &[("options", &option)]).await;
            let mut wire = login.expect("the tenant is let in");
            // A PostgreSQL that is built without XML has none of these.
            if wire.simple("SELECT '<a/>'::xml").await.code() == "0A000" {
                continue;
            }
            let query = "'SELECT name FROM users ORDER BY id', true, false, ''";
            for text in [
                format!("SELECT query_to_xml({query})"),
                format!("SELECT query_to_xml_and_xmlschema({query})"),
                format!("SELECT pg_catalog.query_to_xml_and_xmlschema({query})"),
                "SELECT table_to_xml('users', true, false, '')".into(),
                "SELECT table_to_xml_and_xmlschema('users', true, false, '')".into(),
                "BEGIN; DECLARE c CURSOR FOR SELECT name FROM users ORDER BY id; \
                 SELECT cursor_to_xml('c', 9, true, false, ''); COMMIT"
                    .into(),
                format!("SELECT schema_to_xml('{tenant}', true, false, '')"),
            ] {
                let answer = wire.simple(&text).await;
                let all = format!("{answer:?}");
                assert!(all.contains(own) && !all.contains(PUBLIC[0]), "{strategy}, {text}: {all}");
            }
            for text in ["SELECT query_to_xml_and_xmlschema($1, true, false, '')"] {
                let values = ["SELECT name FROM users ORDER BY id"];
                let all = format!("{:?}", wire.extended(text, &values).await);
                assert!(all.contains(own) && !all.contains(PUBLIC[0]), "{strategy}, {text}: {all}");
            }
            for text in [
                "SELECT table_to_xmlschema('users', true, false, '')",
                "SELECT query_to_xmlschema('SELECT * FROM users', true, false, '')",
            ] {
                let all = format!("{:?}", wire.simple(text).await);
                assert!(all.contains("name=\\\"email\\\""), "{strategy}, {text}: {all}");
            }
            assert_eq!(answers(wire.sync(), 1).await.len(), 1);
        }
    }
}
