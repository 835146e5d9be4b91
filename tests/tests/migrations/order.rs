//! The source, then canaries, then everybody; and when nobody else begins.

use pgstrata_control::migrate::{Ended, Options, Report, Stage};
use pgstrata_tests::{Schemas, schemas};

use crate::three;

fn states(report: &Report) -> Vec<(&str, Ended)> {
    report.schemas.iter().map(|outcome| (outcome.schema.as_str(), outcome.state)).collect()
}

/// A migration that fails in these schemas.
fn fails_in(tenants: &[&str]) -> String {
    let names = tenants.iter().map(|name| format!("'{name}'")).collect::<Vec<_>>().join(", ");
    format!(
        "SELECT ran('one');\nDO $$ BEGIN IF current_schema() IN ({names}) THEN\n\
         RAISE EXCEPTION 'not in %', current_schema(); END IF; END $$"
    )
}

fn canary(names: &[&str]) -> Options {
    Options { canary: names.iter().map(|name| (*name).into()).collect(), ..Options::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn source_comes_first_then_canaries_in_their_order() {
    let schemas = three(&["a", "b", "c", "d"]).await;
    let report = schemas.migrate(&canary(&["c", "b"])).await.unwrap();
    let stages: Vec<_> =
        report.schemas.iter().map(|outcome| (outcome.schema.as_str(), outcome.stage)).collect();
    let [source, first, second, rest @ ..] = &stages[..] else { panic!("{stages:?}") };
    assert_eq!(
        [source, first, second],
        [&("template", Stage::Source), &("c", Stage::Canary), &("b", Stage::Canary)]
    );
    assert_eq!(rest, [("a", Stage::Tenant), ("d", Stage::Tenant)]);
    let ran = schemas.ran().await;
    let in_order: Vec<&str> = ran.iter().take(9).map(|ran| ran.split_once(' ').unwrap().0).collect();
    assert_eq!(in_order, ["template", "template", "template", "c", "c", "c", "b", "b", "b"]);
    assert_eq!(ran.len(), 15);
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_canary_that_fails_nothing_begins() {
    let schemas = Schemas::new(&["a", "b", "c", "d"]).await;
    schemas.file("1_one.sql", fails_in(&["c"]));
    let report = schemas.migrate(&canary(&["d", "c", "b"])).await.unwrap();
    assert_eq!(
        states(&report),
        [
            ("template", Ended::Done),
            ("d", Ended::Done),
            ("c", Ended::Failed),
            ("b", Ended::NotBegun),
            ("a", Ended::NotBegun)
        ]
    );
    assert_eq!(report.of("a").unwrap().lacks, ["1_one.sql"]);
    assert_eq!(schemas.ran().await, ["template one", "d one"]);
    // Once the cause is gone, the same again goes on from there.
    schemas.file("1_one.sql", fails_in(&[""]));
    let changed = schemas.migrate(&canary(&["d", "c"])).await.unwrap_err().to_string();
    assert!(changed.contains("1_one.sql was changed"), "{changed}");
    let options = Options { accept_changed: true, ..canary(&["d", "c"]) };
    let report = schemas.migrate(&options).await.unwrap();
    assert_eq!(states(&report), [("c", Ended::Done), ("a", Ended::Done), ("b", Ended::Done)]);
    assert_eq!(schemas.ran().await.len(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_a_source_that_fails_nothing_begins() {
    let schemas = Schemas::new(&["a", "b"]).await;
    schemas.file("1_one.sql", fails_in(&["template"]));
    let report = schemas.migrate(&canary(&["b"])).await.unwrap();
    assert_eq!(
        states(&report),
        [("template", Ended::Failed), ("b", Ended::NotBegun), ("a", Ended::NotBegun)]
    );
    let failure = report.of("template").unwrap().failure.as_ref().unwrap();
    assert_eq!(failure.name.as_deref(), Some("1_one.sql"));
    assert_eq!(failure.sqlstate.as_deref(), Some("P0001"));
    assert_eq!(failure.place.unwrap().line, 2);
    assert!(failure.context.as_ref().unwrap().contains("inline_code_block line 2"), "{failure}");
    assert!(schemas.ran().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_nth_failure_no_other_begins() {
    let names: Vec<String> = (0..9).map(|i| format!("t{i}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let schemas = Schemas::with(schemas::settings(), 1, &names).await;
    schemas.file("1_one.sql", fails_in(&["t1", "t3", "t5", "t7"]));
    let report = schemas.migrate(&Options { max_failures: 3, ..Options::default() }).await.unwrap();
    let count = |state| report.schemas.iter().filter(|outcome| outcome.state == state).count();
    assert_eq!((count(Ended::Done), count(Ended::Failed), count(Ended::NotBegun)), (4, 3, 3));
    assert_eq!(report.of("t5").unwrap().state, Ended::Failed);
    assert_eq!(report.of("t6").unwrap().state, Ended::NotBegun);
    let failure = report.failed().next().unwrap().failure.as_ref().unwrap();
    assert!(failure.to_string().starts_with("1_one.sql, line 2, column 1: not in t1 (P0001)"), "{failure}");
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["schemas"][2]["failure"]["sqlstate"], "P0001");
    assert_eq!(json["schemas"][2]["state"], "failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn only_those_that_were_named() {
    let schemas = three(&["a", "b", "c"]).await;
    let only = Options { only: vec!["b".into()], ..canary(&["c"]) };
    let report = schemas.migrate(&only).await.unwrap();
    let states: Vec<_> = report.schemas.iter().map(|outcome| outcome.schema.as_str()).collect();
    assert_eq!(states, ["template", "c", "b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_no_tenants_are_refused() {
    let schemas = three(&["a"]).await;
    schemas.run("UPDATE pgstrata_control.schemas SET state = 'dropping'").await;
    for (name, why) in
        [("nobody", "has no such tenant"), ("a", "it is dropping"), ("template", "which is migrated first")]
    {
        let refused = schemas.migrate(&canary(&[name])).await.unwrap_err().to_string();
        assert!(refused.contains(why), "{refused}");
    }
    assert!(schemas.ran().await.is_empty());
}

/// A tenant that is made while a run is on its way, from the source as it was.
#[tokio::test(flavor = "multi_thread")]
async fn tenants_made_meanwhile_are_not_left_behind() {
    let schemas = Schemas::new(&["a"]).await;
    let late = "DO $$ BEGIN IF current_schema() = 'a' THEN EXECUTE 'CREATE SCHEMA late';
                INSERT INTO pgstrata_control.schemas (schema, state) VALUES ('late', 'active'); END IF; END $$";
    schemas.file("1_one.sql", format!("SELECT ran('one'); {late}"));
    schemas.bring().await;
    assert_eq!(schemas.ran().await, ["template one", "a one", "late one"]);
}
