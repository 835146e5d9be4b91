//! Locks that others hold.

use std::sync::Arc;

use pgstrata_control::Settings;
use pgstrata_control::migrate::{Ended, Event, Options};
use pgstrata_tests::schemas::settings;
use pgstrata_tests::{Schemas, stage};
use tokio::sync::Notify;

use crate::{ONE, TWO};

/// The source and two tenants with a table, and a migration of that table.
async fn with_table(retries: u32) -> Schemas {
    let schemas = Schemas::with(Settings { retries, ..settings() }, 4, &["acme", "globex"]).await;
    schemas.file("1_users.sql", ONE);
    schemas.bring().await;
    schemas.file("2_email.sql", format!("SELECT 1;\n  {TWO}"));
    schemas
}

/// Options, and what is notified at each retry.
fn watched() -> (Options, Arc<Notify>) {
    let retried = Arc::new(Notify::new());
    let seen = retried.clone();
    let watch = Arc::new(move |event: &Event<'_>| {
        if let Event::Retrying { schema, failure, .. } = event {
            assert_eq!((*schema, failure.sqlstate.as_deref()), ("acme", Some("55P03")));
            seen.notify_one();
        }
    });
    (Options { watch: Some(watch), ..Options::default() }, retried)
}

#[tokio::test(flavor = "multi_thread")]
async fn lock_that_is_let_go_is_waited_for() {
    let schemas = with_table(1000).await;
    let mut holder = stage::connect(&schemas.cluster.superuser("app")).await.unwrap();
    let reading = holder.transaction().await.unwrap();
    reading.query("SELECT * FROM acme.users", &[]).await.unwrap();
    let (options, retried) = watched();
    let release = async {
        for _ in 0..2 {
            retried.notified().await;
        }
        reading.commit().await.unwrap();
    };
    let (report, ()) = tokio::join!(schemas.migrate(&options), release);
    let report = report.unwrap();
    assert!(report.is_ok(), "{report:#?}");
    assert!(report.of("acme").unwrap().retries >= 2);
    assert_eq!(report.of("globex").unwrap().retries, 0);
    assert_eq!(schemas.ran().await.iter().filter(|ran| *ran == "acme two").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn lock_that_is_kept_fails_its_tenant_alone() {
    let schemas = with_table(2).await;
    let mut holder = stage::connect(&schemas.cluster.superuser("app")).await.unwrap();
    let reading = holder.transaction().await.unwrap();
    reading.query("SELECT * FROM acme.users", &[]).await.unwrap();
    let (options, _) = watched();
    let report = schemas.migrate(&Options { max_failures: 9, ..options }).await.unwrap();
    let acme = report.of("acme").unwrap();
    assert_eq!((acme.state, acme.retries), (Ended::Failed, 2));
    let failure = acme.failure.as_ref().unwrap();
    assert_eq!(failure.sqlstate.as_deref(), Some("55P03"));
    assert!(failure.to_string().starts_with("2_email.sql, line 2, column 3: "), "{failure}");
    assert_eq!(report.of("globex").unwrap().state, Ended::Done);
    assert_eq!(schemas.standing().await, ["acme 1 active", "globex 2 active", "template 2 source"]);
    // Nobody waits behind what was given up, and what was rolled back comes the next time.
    schemas.run("SET lock_timeout = '10s'; SELECT * FROM acme.users").await;
    reading.commit().await.unwrap();
    schemas.bring().await;
    assert_eq!(schemas.standing().await, ["acme 2 active", "globex 2 active", "template 2 source"]);
    assert_eq!(schemas.ran().await.iter().filter(|ran| *ran == "acme two").count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn deadlocks_and_serialization_failures_are_tried_again() {
    for code in ["40001", "40P01"] {
        let schemas = Schemas::new(&["acme"]).await;
        // A sequence keeps what was drawn in a transaction that was rolled back.
        schemas.run("CREATE SEQUENCE public.tries").await;
        let fails_twice = format!(
            "SELECT ran('one');
             DO $$ BEGIN IF current_schema() = 'acme' AND nextval('public.tries') < 3 THEN
                 RAISE EXCEPTION 'again' USING ERRCODE = '{code}'; END IF; END $$"
        );
        schemas.file("1_one.sql", fails_twice);
        let report = schemas.bring().await;
        assert_eq!(report.of("acme").unwrap().retries, 2, "{code}");
        assert_eq!(schemas.ran().await, ["template one", "acme one"]);
    }
}

/// What was changed by hand while the migration ran is seen, and it begins anew from there.
#[tokio::test(flavor = "multi_thread")]
async fn version_that_is_changed_meanwhile_is_read_again() {
    let schemas = Schemas::new(&["acme"]).await;
    let (started, changed) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let mut migrations = schemas.migrations();
    let told = (started.clone(), changed.clone());
    let slow = pgstrata_control::migrate::Migration::code(1, "slow", move |tx| {
        let (started, changed) = told.clone();
        Box::pin(async move {
            tx.batch_execute("SELECT ran('one')").await?;
            if tx.schema() == "acme" {
                started.notify_one();
                changed.notified().await;
            }
            Ok(())
        })
    });
    migrations.add(slow).unwrap();
    let by_hand = async {
        started.notified().await;
        schemas.run("UPDATE pgstrata_control.schemas SET version = 1 WHERE schema = 'acme'").await;
        changed.notify_one();
    };
    let options = Options::default();
    let (report, ()) = tokio::join!(schemas.control.migrate(&migrations, &options), by_hand);
    let report = report.unwrap();
    let acme = report.of("acme").unwrap();
    assert_eq!((acme.state, acme.retries, acme.applied.len()), (Ended::Done, 1, 0));
    assert_eq!(schemas.ran().await, ["template one"]);
}
