//! What is refused before anything runs.

use pgstrata_control::migrate::{Ended, Options};

use crate::{ONE, TWO, three};

#[tokio::test(flavor = "multi_thread")]
async fn file_that_was_changed_is_named() {
    let schemas = three(&["acme"]).await;
    schemas.bring().await;
    schemas.file("0002_email.sql", format!("{TWO}\n-- a word more"));
    schemas.file("30000000000000_next.sql", "SELECT ran('next')");
    let refused = schemas.migrate(&Options::default()).await.unwrap_err().to_string();
    assert!(refused.starts_with("0002_email.sql was changed after it had been applied"), "{refused}");
    assert_eq!(schemas.ran().await.len(), 6);
    let accept = Options { accept_changed: true, ..Options::default() };
    assert!(schemas.migrate(&accept).await.unwrap().is_ok());
    assert!(schemas.bring().await.schemas.is_empty());
    assert_eq!(schemas.ran().await.len(), 8);
    // Another system's line ends are no change.
    schemas.file("0001_users.sql", format!("\u{feff}{ONE}"));
    schemas.file("0002_email.sql", format!("{TWO}\r\n-- a word more"));
    assert!(schemas.bring().await.schemas.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn file_that_comes_too_late_is_named() {
    let schemas = three(&["acme"]).await;
    schemas.bring().await;
    schemas.file("0003_late.sql", "SELECT ran('late')");
    let refused = schemas.migrate(&Options::default()).await.unwrap_err().to_string();
    assert_eq!(
        refused,
        "0003_late.sql is out of order: version 20261125120000 was applied before it; give it a higher version"
    );
    assert_eq!(schemas.ran().await.len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn file_that_is_missing_is_named_if_somebody_lacks_it() {
    let schemas = three(&["acme"]).await;
    schemas.bring().await;
    schemas.remove("0002_email.sql");
    // All have it: it may go.
    assert!(schemas.bring().await.schemas.is_empty());
    schemas.tenants(&["new"]).await;
    let refused = schemas.migrate(&Options::default()).await.unwrap_err().to_string();
    assert_eq!(
        refused,
        "0002_email.sql is missing: the source has it and \"new\", among others, still lacks it; restore it"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn transaction_control_is_refused_before_anything_runs() {
    let schemas = three(&["acme"]).await;
    schemas.file("0003_commit.sql", "SELECT ran('three');\n  COMMIT;\nSELECT 1");
    let refused = schemas.migrate(&Options::default()).await.unwrap_err().to_string();
    assert!(refused.starts_with("0003_commit.sql, line 2, column 3: COMMIT is refused"), "{refused}");
    assert!(schemas.ran().await.is_empty());
    // Files that nobody lacks are not looked at: they may be from before.
    schemas.control.baseline(&schemas.migrations(), 20261125120000).await.unwrap();
    schemas.run("UPDATE pgstrata_control.schemas SET version = 20261125120000").await;
    schemas.file("20261126000000_next.sql", "SELECT ran('next')");
    schemas.bring().await;
    assert_eq!(schemas.ran().await, ["template next", "acme next"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn copy_from_the_client_is_refused() {
    let schemas = three(&["acme"]).await;
    schemas.file("0003_copy.sql", "COPY users FROM stdin;\n1\tx\n\\.\n");
    let refused = schemas.migrate(&Options::default()).await.unwrap_err().to_string();
    assert!(refused.contains("use INSERT"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_stand_where_they_are() {
    let schemas = three(&["acme"]).await;
    schemas.file("0003_wrong.sql", "\u{feff}-- é\r\nSELECT 'é',\r\n  oops;\r\n");
    schemas.remove("20261125120000_alice.sql");
    let report = schemas.migrate(&Options::default()).await.unwrap();
    let source = report.of("template").unwrap();
    assert_eq!((source.state, source.applied.len()), (Ended::Failed, 2));
    assert_eq!(source.lacks, ["0003_wrong.sql"]);
    let failure = source.failure.as_ref().unwrap().to_string();
    assert_eq!(failure, "0003_wrong.sql, line 3, column 3: column \"oops\" does not exist (42703)");
    // The transaction of a migration that failed is gone; those before it stand.
    assert_eq!(schemas.ran().await, ["template one", "template two"]);
    assert_eq!(report.of("acme").unwrap().state, Ended::NotBegun);
}
