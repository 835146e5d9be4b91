//! What would be.

use pgstrata_control::migrate::{Ended, Mode, Options};
use pgstrata_tests::Schemas;

use crate::three;

fn dry(mode: Mode) -> Options {
    Options { mode, canary: vec!["globex".into()], ..Options::default() }
}

/// What a run could leave behind.
async fn state(schemas: &Schemas) -> Vec<String> {
    let mut state = schemas.standing().await;
    state.extend(schemas.ran().await);
    state.push(schemas.value("SELECT count(*) FROM pg_class").await);
    state.push(schemas.value("SELECT count(*) FROM pgstrata_control.migrations").await);
    state
}

#[tokio::test(flavor = "multi_thread")]
async fn plan_says_what_would_run_where() {
    let schemas = three(&["acme", "globex"]).await;
    let plan = schemas.migrate(&dry(Mode::Plan)).await.unwrap();
    let before = state(&schemas).await;
    let names: Vec<_> = plan.schemas.iter().map(|outcome| outcome.schema.as_str()).collect();
    assert_eq!(names, ["template", "globex", "acme"]);
    for outcome in &plan.schemas {
        assert_eq!(outcome.state, Ended::Planned);
        assert_eq!(outcome.lacks, ["0001_users.sql", "0002_email.sql", "20261125120000_alice.sql"]);
    }
    schemas.migrate(&dry(Mode::Plan)).await.unwrap();
    assert_eq!(state(&schemas).await, before);
    schemas.bring().await;
    assert!(schemas.migrate(&dry(Mode::Plan)).await.unwrap().schemas.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn rehearsal_runs_everything_and_leaves_nothing() {
    let schemas = three(&["acme", "globex"]).await;
    schemas.migrate(&dry(Mode::Plan)).await.unwrap();
    let before = state(&schemas).await;
    let rehearsal = schemas.migrate(&dry(Mode::Rehearse)).await.unwrap();
    for outcome in &rehearsal.schemas {
        assert_eq!((outcome.state, outcome.applied.len()), (Ended::Rehearsed, 3));
        assert_eq!(outcome.lacks.len(), 3);
    }
    assert_eq!(state(&schemas).await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn rehearsal_finds_what_fails() {
    let schemas = three(&["acme", "globex"]).await;
    schemas.file("0003_wrong.sql", "SELECT 1;\nINSERT INTO users VALUES (1, repeat('x', 10), oops)");
    let rehearsal = schemas.migrate(&dry(Mode::Rehearse)).await.unwrap();
    let source = rehearsal.of("template").unwrap();
    assert_eq!((source.state, source.applied.len()), (Ended::Failed, 2));
    let failure = source.failure.as_ref().unwrap().to_string();
    assert!(
        failure.starts_with("0003_wrong.sql, line 2, column 47: column \"oops\" does not exist"),
        "{failure}"
    );
    assert!(schemas.ran().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn rehearsal_ends_where_no_transaction_goes() {
    let schemas = three(&["acme"]).await;
    schemas.file("0003_index.sql", "-- pgstrata: no-transaction\nCREATE INDEX CONCURRENTLY ON users (name)");
    let options = Options { mode: Mode::Rehearse, ..Options::default() };
    let rehearsal = schemas.migrate(&options).await.unwrap();
    let acme = rehearsal.of("acme").unwrap();
    assert_eq!((acme.state, acme.applied.len(), acme.lacks.len()), (Ended::Rehearsed, 2, 4));
}
