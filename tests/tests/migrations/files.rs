//! From nothing to the newest, and who is where.

use pgstrata_control::migrate::{Count, Ended, Options, Stage};
use pgstrata_control::{Error, SchemaName};
use pgstrata_tests::{Schemas, schemas};

use crate::{ONE, three};

#[tokio::test(flavor = "multi_thread")]
async fn all_schemas_get_all_migrations_once() {
    let schemas = three(&["acme", "globex"]).await;
    let report = schemas.bring().await;
    assert_eq!((report.newest, report.known, report.ahead), (Some(20261125120000), 3, 0));
    for (schema, stage) in [("template", Stage::Source), ("acme", Stage::Tenant), ("globex", Stage::Tenant)] {
        let outcome = report.of(schema).unwrap();
        assert_eq!((outcome.stage, outcome.state, outcome.retries), (stage, Ended::Done, 0));
        assert!(outcome.lacks.is_empty());
        let applied: Vec<i64> = outcome.applied.iter().map(|applied| applied.version).collect();
        assert_eq!(applied, [1, 2, 20261125120000]);
        let email = format!("SELECT email FROM {schema}.users");
        assert_eq!(schemas.values(&email).await, ["a@example.com"]);
    }
    let ledger = "SELECT schema || version || name || state || (took > '0') FROM pgstrata_control.migrations
                  WHERE schema = 'acme' ORDER BY version";
    assert_eq!(
        schemas.values(ledger).await,
        [
            "acme10001_users.sqldonetrue",
            "acme20002_email.sqldonetrue",
            "acme2026112512000020261125120000_alice.sqldonetrue",
        ]
    );
    let again = schemas.bring().await;
    assert!(again.schemas.is_empty() && again.known == 3);
    assert_eq!(schemas.ran().await.len(), 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn first_run_makes_the_registry() {
    let schemas = three(&[]).await;
    schemas.run("DROP SCHEMA pgstrata_control CASCADE").await;
    assert!(schemas.standing().await.is_empty());
    assert!(schemas.control.lift_fences().await.unwrap().is_empty());
    let report = schemas.bring().await;
    assert_eq!((report.known, report.of("template").unwrap().applied.len()), (1, 3));
    // One of another version is brought up to date, and keeps what it has.
    schemas.run("COMMENT ON SCHEMA pgstrata_control IS NULL; DROP FUNCTION pgstrata_control.record").await;
    schemas.file("30000000000000_next.sql", "SELECT ran('next')");
    schemas.bring().await;
    assert_eq!(schemas.standing().await, ["template 30000000000000 source"]);
    let comment = "SELECT obj_description('pgstrata_control'::regnamespace)";
    assert_eq!(schemas.value(comment).await, "pgstrata registry, version 4");
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_say_who_is_where() {
    let schemas = three(&["acme", "globex"]).await;
    schemas.remove("20261125120000_alice.sql");
    schemas.bring().await;
    schemas.tenants(&["new"]).await;
    let versions = schemas.control.versions().await.unwrap();
    assert_eq!(
        versions.counts,
        [Count { version: None, schemas: 1 }, Count { version: Some(2), schemas: 3 }]
    );
    assert_eq!(
        schemas.standing().await,
        ["acme 2 active", "globex 2 active", "new - active", "template 2 source"]
    );
    let json = serde_json::to_value(&versions).unwrap();
    assert_eq!(json["schemas"][2]["version"], serde_json::Value::Null);
    assert_eq!(json["schemas"][3]["state"], "source");
}

// A tenant that was made from the source has no rows in the ledger for what the source had by then.
#[tokio::test(flavor = "multi_thread")]
async fn tenant_made_from_the_source_gets_what_came_later() {
    let schemas = three(&[]).await;
    schemas.remove("20261125120000_alice.sql");
    schemas.bring().await;
    schemas.run("CREATE SCHEMA copy; CREATE TABLE copy.users (LIKE template.users INCLUDING ALL)").await;
    let copy = SchemaName::new("copy", schemas.control.settings()).unwrap();
    schemas.control.adopt(&[copy], Some(2)).await.unwrap();
    assert!(schemas.bring().await.schemas.is_empty());
    schemas.file("0003_last.sql", "ALTER TABLE users ADD last text; SELECT ran('last')");
    schemas.bring().await;
    assert_eq!(schemas.ran().await, ["template one", "template two", "template last", "copy last"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn states_that_are_not_migrated_are_let_be() {
    let schemas = three(&["active", "suspended", "dropping", "provisioning"]).await;
    schemas.run("UPDATE pgstrata_control.schemas SET state = schema WHERE schema <> 'active'").await;
    schemas.bring().await;
    assert_eq!(
        schemas.standing().await,
        [
            "active 20261125120000 active",
            "dropping - dropping",
            "provisioning - provisioning",
            "suspended 20261125120000 suspended",
            "template 20261125120000 source",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn baseline_marks_and_runs_nothing() {
    let schemas = three(&["acme"]).await;
    for schema in ["template", "acme"] {
        schemas
            .run(&format!("CREATE TABLE {schema}.users (id int PRIMARY KEY, name text, email text)"))
            .await;
    }
    let marked = schemas.control.baseline(&schemas.migrations(), 2).await.unwrap();
    assert_eq!(marked, ["acme", "template"]);
    let again = schemas.control.baseline(&schemas.migrations(), 2).await.unwrap_err();
    assert_eq!(
        again.to_string(),
        "schema \"template\" already has version 2: a baseline is for schemas without a version"
    );
    schemas.bring().await;
    assert_eq!(schemas.ran().await, ["template three", "acme three"]);
    schemas.file("0001_users.sql", format!("{ONE} -- changed"));
    let changed = schemas.migrate(&Options::default()).await.unwrap_err();
    assert!(changed.to_string().starts_with("0001_users.sql was changed"), "{changed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn adopted_are_only_schemas_that_are_there() {
    let schemas = Schemas::new(&["acme"]).await;
    let name = |name| SchemaName::new(name, schemas.control.settings()).unwrap();
    schemas.run("CREATE SCHEMA other").await;
    let both = schemas.control.adopt(&[name("other"), name("nowhere")], Some(7)).await;
    assert!(matches!(both, Err(Error::Missing(missing)) if missing == "nowhere"));
    let adopted = schemas.control.adopt(&[name("acme"), name("other")], Some(7)).await.unwrap();
    assert_eq!(adopted, ["other"]);
    assert_eq!(schemas.standing().await, ["acme - active", "other 7 active"]);
}

/// What is meant for a schema that is gone must not land in a shared one.
#[tokio::test(flavor = "multi_thread")]
async fn schema_that_is_gone_gets_nothing_anywhere() {
    let schemas = Schemas::new(&["acme", "gone"]).await;
    schemas.file("1_a.sql", "CREATE TABLE lost (id int)");
    schemas.run("DROP SCHEMA gone").await;
    let report = schemas.migrate(&Options::default()).await.unwrap();
    let failure = report.of("gone").unwrap().failure.as_ref().unwrap();
    assert!(failure.message.starts_with("there is no schema of this name"), "{failure}");
    assert_eq!(report.of("acme").unwrap().state, Ended::Done);
    let found = "SELECT schemaname FROM pg_tables WHERE tablename = 'lost' ORDER BY 1";
    assert_eq!(schemas.values(found).await, ["acme", "template"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn source_must_be_there_and_no_tenant() {
    let schemas = three(&["acme"]).await;
    let with_source = |source: &str| {
        let settings = pgstrata_control::Settings { source: source.into(), ..schemas::settings() };
        schemas::control(schemas.cluster.superuser("app"), settings, 1)
    };
    let run = async |source| with_source(source).migrate(&schemas.migrations(), &Options::default()).await;
    assert!(matches!(run("nowhere").await, Err(Error::Missing(name)) if name == "nowhere"));
    let tenant = run("acme").await.unwrap_err().to_string();
    assert!(tenant.starts_with("\"acme\" is a tenant in the registry"), "{tenant}");
}

/// A role that owns the schemas is enough, once the registry is there and its own.
#[tokio::test(flavor = "multi_thread")]
async fn no_superuser_is_needed() {
    let schemas = Schemas::new(&[]).await;
    schemas
        .run("CREATE ROLE owner LOGIN; GRANT CONNECT, CREATE ON DATABASE app TO owner; DROP SCHEMA template")
        .await;
    schemas.run("GRANT USAGE ON SCHEMA public TO owner").await;
    let mut config = schemas.cluster.superuser("app");
    config.user("owner");
    let client = pgstrata_tests::stage::connect(&config).await.unwrap();
    client.batch_execute("CREATE SCHEMA template; CREATE SCHEMA acme").await.unwrap();
    schemas.run("DROP SCHEMA pgstrata_control CASCADE").await;
    let control = schemas::control(config, schemas::settings(), 2);
    let acme = SchemaName::new("acme", control.settings()).unwrap();
    control.adopt(&[acme], None).await.unwrap();
    schemas.file("1_a.sql", "CREATE TABLE users (id int)");
    let report = control.migrate(&schemas.migrations(), &Options::default()).await.unwrap();
    assert!(report.is_ok(), "{report:#?}");
    let owner = "SELECT tableowner FROM pg_tables WHERE schemaname = 'acme'";
    assert_eq!(schemas.values(owner).await, ["owner"]);
}
