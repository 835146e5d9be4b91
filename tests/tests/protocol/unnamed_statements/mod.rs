//! Unnamed statements that come again and again: their servers keep them, and no client can tell.

mod changes;

use std::time::Duration;

use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::stage::eventually;
use pgstrata_tests::{ACME, Answer, GLOBEX, Setup, Stage, Wire};
use tokio::time::sleep;

const MODES: [&str; 3] = ["off", "plan", "parse"];
const BY_ID: &str = "SELECT name FROM users WHERE id = $1";

async fn stage_with(mode: &str, strategy: pgstrata_tenancy::Strategy) -> Stage {
    let line = format!("unnamed_statements = \"{mode}\"");
    Stage::new(Setup::new().strategy(strategy).servers(1).line("pool", line)).await
}

async fn stages() -> Vec<(&'static str, Stage)> {
    let mut stages = Vec::new();
    for strategy in STRATEGIES {
        for mode in MODES {
            stages.push((mode, stage_with(mode, strategy).await));
        }
    }
    stages
}

async fn spared(stage: &Stage) -> f64 {
    stage.metric("pgstrata_parses_spared_total").await
}

/// What a driver sends for a query with parameters.
async fn run(wire: &mut Wire, text: &str, values: &[&str]) -> Answer {
    wire.extended(text, values).await
}

/// Runs a statement until its server keeps it, which takes until it is known what the schemas hold. Whatever ran before
/// that may have run code: the server is wiped when another client comes.
///
/// Gives how often it was run.
async fn until_kept(stage: &Stage, mode: &str, wire: &mut Wire, text: &str, values: &[&str]) -> i64 {
    let before = spared(stage).await;
    let mut runs = 0;
    while mode != "off" && spared(stage).await == before {
        if runs % 8 == 7 {
            sleep(Duration::from_millis(20)).await;
            stage.wire("acme_corp").await.simple("SELECT 1").await;
        }
        let answer = run(wire, text, values).await;
        runs += 1;
        assert!(answer.fault().is_none() && runs < 2000, "{mode}: {text}: {:?}", answer.fault());
    }
    runs
}

/// Until a first statement is kept.
async fn warm(stage: &Stage, mode: &str, wire: &mut Wire) {
    until_kept(stage, mode, wire, "SELECT id FROM users WHERE id = $1", &["1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_tenant_reads_its_own_rows_by_the_same_text() {
    for (mode, stage) in stages().await {
        let (mut acme, mut globex) = (stage.wire("acme_corp").await, stage.wire("globex").await);
        for wire in [&mut acme, &mut globex] {
            warm(&stage, mode, wire).await;
        }
        let before = spared(&stage).await;
        for _ in 0..20 {
            assert_eq!(run(&mut acme, BY_ID, &["1"]).await.column(), ACME[..1], "{mode}");
            assert_eq!(run(&mut globex, BY_ID, &["1"]).await.column(), GLOBEX[..1], "{mode}");
        }
        let expected = match mode {
            "off" => 0.0,
            // The first is sent, the second prepares it.
            "plan" => 36.0,
            // Of each tenant the 2nd, the 7th, the 12th and the 17th prepare it.
            _ => 30.0,
        };
        assert_eq!(spared(&stage).await - before, expected, "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_have_the_order_of_the_messages() {
    for (mode, stage) in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        warm(&stage, mode, &mut wire).await;
        for _ in 0..4 {
            let answer = run(&mut wire, BY_ID, &["1"]).await;
            assert_eq!(answer.tags(), "12DCZ", "{mode}");
            let described =
                wire.parse("", BY_ID).bind("", &["2"]).describe("").execute().sync().answer().await;
            assert_eq!(described.tags(), "12tTDCZ", "{mode}");
            // No Bind behind it: the client waits for this answer.
            assert_eq!(wire.parse("", BY_ID).sync().answer().await.tags(), "1Z", "{mode}");
            assert_eq!(wire.bind("", &["2"]).execute().sync().answer().await.tags(), "2DCZ", "{mode}");
            // Another statement is bound than was parsed.
            assert_eq!(wire.parse("s", "SELECT 1").sync().answer().await.tags(), "1Z");
            let answer = wire.parse("", BY_ID).bind("s", &[]).execute().sync().answer().await;
            assert_eq!(answer.tags(), "12DCZ", "{mode}");
            assert_eq!(wire.close("s").parse("h", "DISCARD ALL").sync().answer().await.tags(), "31Z");
            let answer = wire.parse("", BY_ID).bind("h", &[]).sync().answer().await;
            assert_eq!(answer.tags(), "12Z", "{mode}");
            assert_eq!(wire.close("h").sync().answer().await.tags(), "3Z");
            let many = wire.parse("", BY_ID);
            for id in ["1", "2", "1", "2", "1", "2", "1", "2"] {
                many.bind("", &[id]).execute();
            }
            assert_eq!(many.sync().answer().await.tags(), format!("1{}Z", "2DC".repeat(8)), "{mode}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_come_as_from_any_unnamed_statement() {
    for (mode, stage) in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        warm(&stage, mode, &mut wire).await;
        for _ in 0..12 {
            let answer = run(&mut wire, BY_ID, &["x"]).await;
            let what = (answer.code(), answer.tags());
            assert_eq!(
                what,
                ("22P02".into(), "1EZ".into()),
                "{mode}: while it is bound: {:?}",
                answer.fault()
            );
            let none = run(&mut wire, BY_ID, &[]).await;
            let message = "bind message supplies 0 parameters, but prepared statement \"\" requires 1";
            assert_eq!(none.tags(), "1EZ", "{mode}");
            assert_eq!(none.fault().unwrap().message, message, "{mode}: with no value");
            assert_eq!(run(&mut wire, BY_ID, &["2"]).await.column(), ACME[1..2], "{mode}");
            let answer = run(&mut wire, "SELECT 1 / (id - $1) FROM users", &["1"]).await;
            assert_eq!(
                (answer.code().as_str(), answer.tags().as_str()),
                ("22012", "12EZ"),
                "{mode}: while it runs"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn write_that_fails_is_run_once() {
    for (mode, stage) in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        warm(&stage, mode, &mut wire).await;
        wire.simple("CREATE SEQUENCE counted; CREATE TABLE once (id int PRIMARY KEY, at bigint DEFAULT nextval('counted'))")
            .await;
        let insert = "INSERT INTO once VALUES ($1)";
        let kept = "INSERT INTO once VALUES ($1) ON CONFLICT DO NOTHING";
        until_kept(&stage, mode, &mut wire, kept, &["0"]).await;
        run(&mut wire, kept, &["0"]).await;
        let mut wanted = wire.simple("SELECT last_value FROM counted").await.value().parse::<i32>().unwrap();
        for id in ["1", "2", "3", "3", "3", "4", "5"] {
            run(&mut wire, insert, &[id]).await;
            wanted += 1;
            let counted = wire.simple("SELECT last_value FROM counted").await.value();
            assert_eq!(counted, wanted.to_string(), "{mode}: {id}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn transactions_and_temporary_tables_see_their_own_ddl() {
    for (mode, stage) in stages().await {
        let mut wire = stage.wire("acme_corp").await;
        warm(&stage, mode, &mut wire).await;
        let all = "SELECT * FROM users WHERE id = $1";
        for _ in 0..3 {
            run(&mut wire, all, &["1"]).await;
        }
        wire.simple("BEGIN; ALTER TABLE users ADD COLUMN added int DEFAULT 7").await;
        for _ in 0..3 {
            assert_eq!(run(&mut wire, all, &["1"]).await.rows()[0].last().unwrap(), "7", "{mode}");
        }
        wire.simple("ROLLBACK").await;
        for _ in 0..3 {
            assert_ne!(run(&mut wire, all, &["1"]).await.rows()[0].last().unwrap(), "7", "{mode}");
        }
        wire.simple("CREATE TEMP TABLE users (id int, name text)").await;
        assert_eq!(run(&mut wire, all, &["1"]).await.rows().len(), 0, "{mode}");
        wire.simple("DISCARD ALL").await;
        assert_eq!(run(&mut wire, all, &["1"]).await.rows().len(), 1, "{mode}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_give_each_client_its_own_meaning() {
    for (mode, stage) in stages().await {
        let (mut first, mut second) = (stage.wire("acme_corp").await, stage.wire("acme_corp").await);
        warm(&stage, mode, &mut first).await;
        first.simple("SET datestyle = 'ISO, DMY'").await;
        second.simple("SET datestyle = 'ISO, MDY'").await;
        for _ in 0..4 {
            let day = "SELECT $1::text::date FROM users WHERE id = 1";
            assert_eq!(run(&mut first, day, &["01/02/2020"]).await.value(), "2020-02-01", "{mode}");
            assert_eq!(run(&mut second, day, &["01/02/2020"]).await.value(), "2020-01-02", "{mode}");
        }
    }
}

/// A table that has nearly all rows of kind 1: an index finds those of kind 0, if PostgreSQL plans for the value.
const SKEWED: &str = "SELECT i FROM skewed WHERE kind = $1";

/// Runs a statement so often for the common value that PostgreSQL may think of a generic plan, and then for the rare one.
/// Gives how often in all.
async fn skewed(mode: &str, strategy: pgstrata_tenancy::Strategy) -> (Stage, Wire, i64) {
    let stage = stage_with(mode, strategy).await;
    let mut wire = stage.wire("acme_corp").await;
    let table = "CREATE TABLE skewed AS SELECT (i > 20)::int AS kind, i FROM generate_series(1, 20000) AS i; \
                 CREATE INDEX ON skewed (kind)";
    wire.simple(table).await;
    stage.superuser().await.batch_execute("ANALYZE acme_corp.skewed").await.unwrap();
    let runs = until_kept(&stage, mode, &mut wire, SKEWED, &["1"]).await;
    for value in ["1"; 20].iter().chain(&["0"; 10]) {
        let rows = run(&mut wire, SKEWED, &[value]).await.rows().len();
        assert_eq!(rows, if *value == "0" { 20 } else { 19_980 }, "{mode}");
    }
    (stage, wire, runs + 30)
}

/// How often the index was read, once all runs are counted; making it and `ANALYZE` read the table.
async fn index_scans(stage: &Stage, runs: i64) -> i64 {
    let admin = stage.superuser().await;
    let asked =
        "SELECT seq_scan, idx_scan FROM pg_stat_all_tables WHERE relid = 'acme_corp.skewed'::regclass";
    let mut by_index = 0;
    let all = async || {
        let row = admin.query_one(asked, &[]).await.unwrap();
        by_index = row.get(1);
        row.get::<_, i64>(0) + by_index
    };
    eventually(runs + 1, all).await;
    by_index
}

#[tokio::test(flavor = "multi_thread")]
async fn parsing_is_spared_and_planning_is_not() {
    for strategy in STRATEGIES {
        for mode in ["parse", "off"] {
            let (stage, _wire, runs) = skewed(mode, strategy).await;
            assert_eq!(index_scans(&stage, runs).await, 10, "{mode}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn generic_plan_is_not_used_under_other_settings() {
    for strategy in STRATEGIES {
        let (stage, _wire, runs) = skewed("plan", strategy).await;
        let before = index_scans(&stage, runs).await;
        assert_ne!(before, 10, "a generic plan is used");
        let mut other = stage.wire("acme_corp").await;
        other.simple("SET enable_indexscan = off; SET enable_bitmapscan = off").await;
        for _ in 0..8 {
            run(&mut other, SKEWED, &["0"]).await;
        }
        assert_eq!(index_scans(&stage, runs + 8).await, before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_that_come_once_are_not_kept() {
    let stage = stage_with("plan", STRATEGIES[0]).await;
    let mut wire = stage.wire("acme_corp").await;
    warm(&stage, "plan", &mut wire).await;
    let before = spared(&stage).await;
    for number in 0..300 {
        run(&mut wire, &format!("SELECT {number} + $1::int"), &["1"]).await;
    }
    assert_eq!(spared(&stage).await - before, 0.0);
    let names = wire.simple("SELECT count(*) FROM pg_prepared_statements WHERE NOT from_sql").await;
    assert!(names.fault().is_some() || names.value().parse::<u32>().unwrap() <= 1, "{names:?}");
}
