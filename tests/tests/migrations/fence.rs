//! Tenants whose clients wait.

use std::time::Duration;

use pgstrata_control::migrate::{Ended, Options};
use pgstrata_tests::Schemas;

use crate::{ONE, TWO};

fn fenced() -> Options {
    Options { fence: Some(Duration::from_millis(5)), max_failures: 9, ..Options::default() }
}

async fn with_suspended(file: &str) -> Schemas {
    let schemas = Schemas::new(&["acme", "globex", "asleep"]).await;
    schemas.run("UPDATE pgstrata_control.schemas SET state = 'suspended' WHERE schema = 'asleep'").await;
    schemas.file("1_users.sql", ONE);
    schemas.file("2_more.sql", file);
    schemas
}

#[tokio::test(flavor = "multi_thread")]
async fn active_tenants_are_fenced_while_it_is_their_turn() {
    let schemas = with_suspended(TWO).await;
    assert!(schemas.migrate(&fenced()).await.unwrap().is_ok());
    let states = "SELECT DISTINCT schema || ' ' || state FROM public.ran ORDER BY 1";
    assert_eq!(
        schemas.values(states).await,
        ["acme migrating", "asleep suspended", "globex migrating", "template source"]
    );
    assert_eq!(
        schemas.standing().await,
        ["acme 2 active", "asleep 2 suspended", "globex 2 active", "template 2 source"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_are_let_in_again_after_a_failure() {
    let fails = "DO $$ BEGIN IF current_schema() <> 'template' THEN RAISE 'no'; END IF; END $$";
    let schemas = with_suspended(fails).await;
    let report = schemas.migrate(&fenced()).await.unwrap();
    assert_eq!(report.failed().count(), 3);
    assert_eq!(
        schemas.standing().await,
        ["acme 1 active", "asleep 1 suspended", "globex 1 active", "template 2 source"]
    );
    // Also where the connection is lost on the way.
    let dies = fails.replace("RAISE 'no'", "PERFORM pg_terminate_backend(pg_backend_pid())");
    schemas.file("2_more.sql", dies);
    let report = schemas.migrate(&Options { accept_changed: true, ..fenced() }).await.unwrap();
    for outcome in report.failed() {
        assert_eq!(outcome.failure.as_ref().unwrap().sqlstate.as_deref(), Some("57P01"), "{outcome:?}");
    }
    assert_eq!(
        schemas.standing().await,
        ["acme 1 active", "asleep 1 suspended", "globex 1 active", "template 2 source"]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn fence_of_a_run_that_was_killed_is_lifted_by_the_next() {
    let schemas = with_suspended(TWO).await;
    schemas.run("UPDATE pgstrata_control.schemas SET state = 'migrating' WHERE schema = 'acme'").await;
    schemas.bring().await;
    assert_eq!(schemas.standing().await[0], "acme 2 active");
    // It may have come to its last migration, and no further.
    schemas.run("UPDATE pgstrata_control.schemas SET state = 'migrating' WHERE schema = 'acme'").await;
    let report = schemas.bring().await;
    assert_eq!(report.schemas.len(), 1);
    assert_eq!(report.of("acme").unwrap().state, Ended::Done);
    assert_eq!(schemas.standing().await[0], "acme 2 active");
    schemas.run("UPDATE pgstrata_control.schemas SET state = 'migrating' WHERE schema <> 'template'").await;
    assert_eq!(schemas.control.lift_fences().await.unwrap(), ["acme", "asleep", "globex"]);
    assert!(schemas.control.lift_fences().await.unwrap().is_empty());
}

/// Another run that finds nothing to do, or fails, may let clients in: the one that wants them out says so again.
#[tokio::test(flavor = "multi_thread")]
async fn fence_that_another_run_lifted_is_raised_again() {
    let lifts = "SELECT ran('two')";
    let schemas = with_suspended(lifts).await;
    let hidden = "UPDATE pgstrata_control.schemas SET state = 'active' WHERE schema = current_schema() AND state = 'migrating'";
    schemas.file("1_users.sql", format!("{ONE} {hidden};"));
    assert!(schemas.migrate(&fenced()).await.unwrap().is_ok());
    let states = "SELECT schema || ' ' || state FROM public.ran WHERE step = 'two' ORDER BY 1";
    assert_eq!(
        schemas.values(states).await,
        ["acme migrating", "asleep suspended", "globex migrating", "template source"]
    );
    assert_eq!(schemas.standing().await[0], "acme 2 active");
}

/// A run that goes away in the middle of a migration, its process with it.
#[tokio::test(flavor = "multi_thread")]
async fn fence_of_a_run_that_goes_away_is_lifted_by_the_next() {
    let sleeps = "SELECT ran('two'); SELECT pg_sleep(CASE current_schema() WHEN 'acme' THEN 3600 ELSE 0 END)";
    let schemas = with_suspended(sleeps).await;
    let (control, migrations) = (schemas.another(1), schemas.migrations());
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let options = Options { only: vec!["acme".into()], ..fenced() };
    runtime.spawn(async move { control.migrate(&migrations, &options).await });
    while schemas.standing().await[0] != "acme 1 migrating" {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    runtime.shutdown_background();
    assert_eq!(schemas.standing().await[0], "acme 1 migrating");
    schemas.file("2_more.sql", "SELECT ran('two')");
    let report = schemas.migrate(&Options { accept_changed: true, ..Options::default() }).await.unwrap();
    assert!(report.is_ok(), "{report:#?}");
    assert_eq!(schemas.standing().await[0], "acme 2 active");
    assert_eq!(schemas.ran().await.iter().filter(|ran| *ran == "acme two").count(), 1);
}
