//! Migrations in code.

use pgstrata_control::migrate::{Ended, Migration, Migrations, Options, Report};
use pgstrata_tests::Schemas;

use crate::ONE;

async fn migrate(schemas: &Schemas, migrations: &Migrations) -> Report {
    schemas.control.migrate(migrations, &Options::default()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn code_runs_among_files() {
    let schemas = Schemas::new(&["acme", "globex"]).await;
    schemas.file(
        "1_users.sql",
        format!("{ONE} CREATE TYPE mood AS ENUM ('sad'); ALTER TABLE users ADD mood mood"),
    );
    schemas.file("3_more.sql", "UPDATE users SET name = name || '!'");
    let mut migrations = schemas.migrations();
    for version in [2, 4] {
        let fills = Migration::code(version, "fill", move |tx| {
            Box::pin(async move {
                let name = format!("{} {version}", tx.schema());
                let id = i32::try_from(version)?;
                tx.execute("INSERT INTO users VALUES ($1, $2, 'sad')", &[&id, &name]).await?;
                // Has the client ask for a type, which is another in each schema.
                tx.query("SELECT mood FROM users", &[]).await?;
                Ok(())
            })
        });
        migrations.add(fills).unwrap();
    }
    let report = migrate(&schemas, &migrations).await;
    assert!(report.is_ok(), "{report:#?}");
    for schema in ["template", "acme", "globex"] {
        let names = schemas.values(&format!("SELECT name FROM {schema}.users ORDER BY id")).await;
        assert_eq!(names, [format!("{schema} 2!"), format!("{schema} 4")]);
    }
    assert!(migrate(&schemas, &migrations).await.schemas.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_fails_is_rolled_back() {
    let schemas = Schemas::new(&["acme"]).await;
    let fails = |how: &'static str| {
        Migration::code(1, "fails", move |tx| {
            Box::pin(async move {
                tx.batch_execute("SELECT ran('one')").await?;
                match how {
                    "panics" => panic!("as told"),
                    "words" => Err("not today".into()),
                    sql => Ok(tx.batch_execute(sql).await?),
                }
            })
        })
    };
    for (how, message, sqlstate) in [
        ("panics", "the migration panicked", None),
        ("words", "not today", None),
        ("SELECT oops", "column \"oops\" does not exist (42703)", Some("42703")),
        ("COMMIT", "the migration ended the transaction that it was run in", Some("2D000")),
    ] {
        let mut migrations = Migrations::new();
        migrations.add(fails(how)).unwrap();
        let report = migrate(&schemas, &migrations).await;
        let source = report.of("template").unwrap();
        assert_eq!(source.state, Ended::Failed);
        let failure = source.failure.as_ref().unwrap();
        assert!(failure.message.starts_with(message), "{failure}");
        assert_eq!(failure.sqlstate.as_deref(), sqlstate, "{failure}");
        assert_eq!(failure.name.as_deref(), Some("fails"));
        assert_eq!(schemas.standing().await, ["acme - active", "template - source"]);
    }
    // Only what was committed by its own hand stays.
    assert_eq!(schemas.ran().await, ["template one"]);
}
