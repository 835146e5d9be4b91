//! Files whose statements can't run in a transaction.

use pgstrata_control::migrate::{Ended, Failure, Options, Outcome, Unfinished};
use pgstrata_tests::Schemas;

use crate::ONE;

const INDEX: &str = "-- pgstrata: no-transaction\nCREATE INDEX CONCURRENTLY users_name ON users (name);\n";
/// Valid indexes of this name, by schema.
const VALID: &str =
    "SELECT indrelid::regclass::text FROM pg_index WHERE indexrelid::regclass::text LIKE '%users_name'
                     AND indisvalid ORDER BY 1";

async fn with_table(tenants: &[&str]) -> Schemas {
    let schemas = Schemas::new(tenants).await;
    schemas.file("1_users.sql", ONE);
    schemas.bring().await;
    schemas
}

async fn migrate(schemas: &Schemas, unfinished: Unfinished) -> Outcome {
    let options = Options { unfinished, ..Options::default() };
    let mut report = schemas.migrate(&options).await.unwrap();
    let at = report.schemas.iter().position(|outcome| outcome.schema == "acme").unwrap();
    report.schemas.swap_remove(at)
}

fn failure(outcome: &Outcome) -> &Failure {
    assert_eq!(outcome.state, Ended::Failed);
    outcome.failure.as_ref().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_run_one_by_one_in_the_schema() {
    let schemas = with_table(&["acme", "globex"]).await;
    let rest = "DISCARD ALL;\nVACUUM users;\nCREATE TABLE more (id int);\nSELECT ran('two')";
    schemas.file("2_index.sql", format!("{INDEX}{rest}"));
    schemas.bring().await;
    assert_eq!(schemas.values(VALID).await, ["acme.users", "globex.users", "template.users"]);
    let more = "SELECT schemaname FROM pg_tables WHERE tablename = 'more' ORDER BY 1";
    assert_eq!(schemas.values(more).await, ["acme", "globex", "template"]);
    assert_eq!(schemas.standing().await, ["acme 2 active", "globex 2 active", "template 2 source"]);
    let ledger = "SELECT DISTINCT state FROM pgstrata_control.migrations";
    assert_eq!(schemas.values(ledger).await, ["done"]);
    assert!(schemas.bring().await.schemas.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn file_without_the_directive_gets_a_hint() {
    let schemas = with_table(&[]).await;
    schemas.file("2_index.sql", "CREATE INDEX CONCURRENTLY users_name ON users (name)");
    let report = schemas.migrate(&Options::default()).await.unwrap();
    let failure = report.of("template").unwrap().failure.as_ref().unwrap();
    assert_eq!(failure.sqlstate.as_deref(), Some("25001"));
    assert!(failure.message.contains("\"-- pgstrata: no-transaction\""), "{failure}");
}

#[tokio::test(flavor = "multi_thread")]
async fn first_statement_that_fails_leaves_no_mark() {
    let schemas = with_table(&["acme"]).await;
    schemas.file("2_index.sql", "-- pgstrata: no-transaction\nVACUUM oops");
    let report = schemas.migrate(&Options::default()).await.unwrap();
    let failure = report.of("template").unwrap().failure.as_ref().unwrap();
    assert_eq!(failure.sqlstate.as_deref(), Some("42P01"));
    assert_eq!(failure.place.unwrap().line, 2);
    assert_eq!(
        schemas.value("SELECT count(*) FROM pgstrata_control.migrations WHERE version = 2").await,
        "0"
    );
    // So the file can be put right, and it is run as if for the first time.
    schemas.file("2_index.sql", INDEX);
    schemas.bring().await;
    assert_eq!(schemas.values(VALID).await, ["acme.users", "template.users"]);
}

/// Two users of one name, in this schema alone, make half an index.
async fn half_an_index() -> Schemas {
    let schemas = with_table(&["acme", "globex"]).await;
    schemas.run("INSERT INTO acme.users VALUES (1, 'Bob'), (2, 'Bob')").await;
    schemas.file("2_index.sql", INDEX.replace("CREATE INDEX", "SELECT ran('two');\nCREATE UNIQUE INDEX"));
    let outcome = migrate(&schemas, Unfinished::Refuse).await;
    let failure = failure(&outcome);
    assert_eq!(failure.sqlstate.as_deref(), Some("23505"));
    assert_eq!(failure.place.unwrap().line, 3);
    assert!(failure.message.contains("What ran before stays"), "{failure}");
    assert_eq!(schemas.standing().await[0], "acme 1 active");
    let versions = schemas.control.versions().await.unwrap();
    let unfinished: Vec<_> = versions.schemas.iter().map(|s| s.unfinished.as_deref()).collect();
    assert_eq!(unfinished, [Some("2_index.sql"), None, None]);
    schemas
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stopped_is_refused_until_it_is_redone() {
    let schemas = half_an_index().await;
    schemas.run("DELETE FROM acme.users WHERE id = 2").await;
    let refused = migrate(&schemas, Unfinished::Refuse).await;
    assert!(failure(&refused).message.starts_with("it was stopped in the middle"), "{refused:?}");
    schemas.run("DROP INDEX acme.users_name").await;
    let redone = migrate(&schemas, Unfinished::Redo).await;
    assert_eq!(redone.state, Ended::Done);
    assert_eq!(schemas.values(VALID).await, ["acme.users", "globex.users", "template.users"]);
    let acme = schemas.ran().await.iter().filter(|ran| *ran == "acme two").count();
    assert_eq!(acme, 2, "from its first statement on");
    assert_eq!(schemas.standing().await, ["acme 2 active", "globex 2 active", "template 2 source"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stopped_counts_as_done_if_somebody_says_so() {
    let schemas = half_an_index().await;
    schemas.run("DELETE FROM acme.users WHERE id = 2; REINDEX INDEX acme.users_name").await;
    let done = migrate(&schemas, Unfinished::Done).await;
    assert_eq!((done.state, done.applied.len()), (Ended::Done, 1));
    assert_eq!(schemas.ran().await.iter().filter(|ran| *ran == "acme two").count(), 1);
    assert_eq!(schemas.standing().await, ["acme 2 active", "globex 2 active", "template 2 source"]);
    assert!(schemas.bring().await.schemas.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_killed_in_the_middle_is_reported() {
    let schemas = with_table(&["acme"]).await;
    let dies = "DO $$ BEGIN IF current_schema() = 'acme' THEN
                PERFORM pg_terminate_backend(pg_backend_pid()); END IF; END $$";
    schemas.file("2_index.sql", format!("{INDEX}{dies};"));
    let killed = migrate(&schemas, Unfinished::Refuse).await;
    assert_eq!(failure(&killed).sqlstate.as_deref(), Some("57P01"));
    let refused = migrate(&schemas, Unfinished::Refuse).await;
    assert!(failure(&refused).message.starts_with("it was stopped in the middle"), "{refused:?}");
    schemas.file("2_index.sql", INDEX.replace("CONCURRENTLY", "CONCURRENTLY IF NOT EXISTS"));
    let options = Options { unfinished: Unfinished::Redo, accept_changed: true, ..Options::default() };
    assert!(schemas.migrate(&options).await.unwrap().is_ok());
    assert_eq!(schemas.standing().await, ["acme 2 active", "template 2 source"]);
}

/// Whoever waits for the schema must hold nothing that `CONCURRENTLY` waits for.
#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_do_not_block_each_other() {
    let schemas = with_table(&[]).await;
    schemas.crowd(10).await;
    schemas.run("UPDATE pgstrata_control.schemas SET version = 1").await;
    schemas.file("2_index.sql", INDEX);
    let (first, second) = (schemas.another(4), schemas.another(4));
    let (migrations, options) = (schemas.migrations(), Options::default());
    let (one, other) =
        tokio::join!(first.migrate(&migrations, &options), second.migrate(&migrations, &options));
    for report in [one.unwrap(), other.unwrap()] {
        assert!(report.is_ok(), "{:#?}", report.failed().collect::<Vec<_>>());
    }
    assert_eq!(schemas.values(VALID).await.len(), 11);
    let took_part = "SELECT count(*) FROM pgstrata_control.migrations WHERE version = 2 AND state = 'done'";
    assert_eq!(schemas.value(took_part).await, "11");
}

/// One that waits for a lock is tried again where nothing is left of it.
#[tokio::test(flavor = "multi_thread")]
async fn lock_in_the_way_of_a_statement_is_waited_for() {
    let schemas = with_table(&["acme"]).await;
    schemas.run("CREATE SEQUENCE public.tries").await;
    let late = "CREATE FUNCTION public.late() RETURNS void LANGUAGE plpgsql AS $$ BEGIN
                IF nextval('public.tries') < 3 THEN RAISE EXCEPTION 'wait' USING ERRCODE = '55P03'; END IF; END $$";
    schemas.run(late).await;
    schemas.file("2_index.sql", format!("{INDEX}SELECT public.late();"));
    schemas.bring().await;
    assert_eq!(schemas.values(VALID).await, ["acme.users", "template.users"]);
}
