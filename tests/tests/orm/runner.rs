//! Tenants' schemas, made by the ORM.

use pgstrata_orm::control::{self, SchemaName, Settings};
use pgstrata_orm::{
    DatabaseKind, Ensured, Error, MetadataContext, Pattern, PostgresTenantMigrationRunner, RunnerOptions,
    TenantMigrationRunner,
};
use pgstrata_tests::Shop;
use pgstrata_tests::shop::{Post, User, names};

#[tokio::test(flavor = "multi_thread")]
async fn schemas_are_ensured_synced_and_found() {
    let shop = Shop::new(&[]).await;
    let em = shop.manager(shop.options()).await;
    assert_eq!(em.driver().kind(), DatabaseKind::Postgres);
    let runner = PostgresTenantMigrationRunner::new(em.driver()).unwrap();
    assert_eq!(runner.ensure_schema("acme_corp").await.unwrap(), Ensured::Created);
    assert_eq!(runner.ensure_schema("acme_corp").await.unwrap(), Ensured::Existed);
    let result =
        runner.sync_tenant_schemas(&["acme_corp", "globex", "initech", "pg_evil", ""]).await.unwrap();
    assert_eq!(result.created, ["globex", "initech"]);
    assert_eq!(result.skipped, ["acme_corp"]);
    assert_eq!(
        result.failed.iter().map(|failed| failed.schema.as_str()).collect::<Vec<_>>(),
        ["pg_evil", ""]
    );
    assert_eq!(runner.discover_schemas().await.unwrap(), ["acme_corp", "globex", "initech", "public"]);
    assert_eq!(runner.get_provisioned_schemas().await.unwrap(), ["acme_corp", "globex", "initech"]);
    assert!(runner.is_provisioned("globex").await.unwrap());
    assert!(!runner.is_provisioned("umbrella").await.unwrap());
    // Rows are not copied; keys, sequences and foreign keys are the tenant's own.
    MetadataContext::run("globex", async {
        assert_eq!(names(&em).await, [""; 0]);
        let hank = em.save(&User::new("Hank")).await.unwrap();
        assert_eq!(hank.id, 1);
        em.save(&Post::new(&hank, "Hammocks")).await.unwrap();
        assert!(em.save(&Post { user_id: 99, ..Post::new(&hank, "nobody's") }).await.is_err());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn source_schema_can_be_another() {
    let shop = Shop::new(&[]).await;
    shop.run(&format!("CREATE SCHEMA template AUTHORIZATION shop; SET ROLE shop; SET search_path TO template; {}; RESET ROLE", pgstrata_tests::shop::TABLES)).await;
    let em = shop.manager(shop.options()).await;
    let options = RunnerOptions::new().source_schema("template");
    let runner: Box<dyn TenantMigrationRunner> =
        Box::new(PostgresTenantMigrationRunner::with_options(em.driver(), options).unwrap());
    assert_eq!(runner.ensure_schema("acme").await.unwrap(), Ensured::Created);
    // The source is what it is.
    assert_eq!(runner.ensure_schema("template").await.unwrap(), Ensured::Existed);
    assert_eq!(runner.get_provisioned_schemas().await.unwrap(), ["acme"]);
    MetadataContext::run("acme", em.save(&User::new("first"))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_that_the_manager_shares_are_shared_whatever_the_settings() {
    let shop = Shop::new(&[]).await;
    shop.run(
        "CREATE SCHEMA extensions AUTHORIZATION shop; CREATE DOMAIN extensions.word AS text; \
              ALTER TABLE public.users ADD COLUMN more extensions.word",
    )
    .await;
    let em = shop.manager(shop.options().shared_schemas(["extensions"])).await;
    let settings = Settings { seed: vec![Pattern::new("users")], ..Settings::default() };
    for options in [RunnerOptions::new(), RunnerOptions::new().settings(settings)] {
        let runner = PostgresTenantMigrationRunner::with_options(em.driver(), options).unwrap();
        let refused = runner.ensure_schema("extensions").await.unwrap_err();
        assert!(matches!(refused, Error::Control(control::Error::Name { .. })), "{refused}");
        runner.ensure_schema("acme").await.unwrap();
        runner
            .control()
            .drop_schema(&SchemaName::new("acme", runner.control().settings()).unwrap())
            .await
            .unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tenant_is_provisioned_once_however_many_ask() {
    let shop = Shop::new(&[]).await;
    let em = shop.manager(shop.options()).await;
    let mut tasks = Vec::new();
    for _ in 0..8 {
        let runner = PostgresTenantMigrationRunner::new(em.driver()).unwrap();
        tasks.push(tokio::spawn(async move { runner.ensure_schema("acme").await.unwrap() }));
    }
    let mut created = 0;
    for task in tasks {
        created += usize::from(task.await.unwrap() == Ensured::Created);
    }
    assert_eq!(created, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn schema_that_is_there_gets_what_it_lacks() {
    let shop = Shop::new(&[]).await;
    let em = shop.manager(shop.options()).await;
    let runner = PostgresTenantMigrationRunner::new(em.driver()).unwrap();
    shop.run("CREATE SCHEMA empty AUTHORIZATION shop; CREATE SCHEMA half AUTHORIZATION shop; CREATE SCHEMA listed AUTHORIZATION shop")
        .await;
    // With a table of its own, and an older one with something of its own.
    shop.run(
        "CREATE TABLE half.users (LIKE public.users INCLUDING ALL); ALTER TABLE half.users ADD COLUMN own int; \
         INSERT INTO half.users (id, name) VALUES (7, 'kept'); CREATE TABLE half.notes (t text); \
         ALTER TABLE half.users OWNER TO shop; ALTER TABLE half.notes OWNER TO shop",
    )
    .await;
    assert!(!runner.is_provisioned("empty").await.unwrap());
    assert_eq!(runner.get_provisioned_schemas().await.unwrap(), ["half"]);
    for tenant in ["empty", "half"] {
        assert_eq!(runner.ensure_schema(tenant).await.unwrap(), Ensured::Existed);
        assert!(runner.is_provisioned(tenant).await.unwrap());
    }
    let synced = runner.sync_tenant_schemas(&["listed", "half", "fresh"]).await.unwrap();
    assert_eq!(
        (synced.created, synced.skipped),
        (vec!["fresh".to_owned()], vec!["listed".to_owned(), "half".to_owned()])
    );
    for tenant in ["empty", "half", "listed"] {
        let session = em.tenant(tenant);
        let user = session.save(&User::new("new")).await.unwrap();
        session.save(&Post::new(&user, "First")).await.unwrap();
        assert!(
            session.save(&Post { user_id: 99, ..Post::new(&user, "nobody's") }).await.is_err(),
            "{tenant}"
        );
    }
    assert_eq!(names(&em.tenant("half")).await, ["new", "kept"]);
    let own = em.tenant("half").query("SELECT own FROM users CROSS JOIN notes", &[]).await;
    assert!(own.unwrap().is_empty());
    let tasks: Vec<_> = (0..4)
        .map(|_| runner.clone())
        .map(|runner| tokio::spawn(async move { runner.ensure_schema("twice").await.unwrap() }))
        .collect();
    shop.run("CREATE SCHEMA IF NOT EXISTS twice AUTHORIZATION shop").await;
    for task in tasks {
        task.await.unwrap();
    }
    assert!(runner.is_provisioned("twice").await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn source_is_no_tenant_and_no_error() {
    let shop = Shop::new(&["acme"]).await;
    let em = shop.manager(shop.options()).await;
    let runner = PostgresTenantMigrationRunner::new(em.driver()).unwrap();
    assert_eq!(runner.ensure_schema("public").await.unwrap(), Ensured::Existed);
    let synced = runner.sync_tenant_schemas(&["public", "acme"]).await.unwrap();
    assert!(synced.created.is_empty() && synced.failed.is_empty());
    assert_eq!(synced.skipped, ["acme", "public"]);
    assert!(!runner.is_provisioned("public").await.unwrap());
    assert!(!runner.is_provisioned("pg_catalog").await.unwrap());
    assert!(!runner.is_provisioned("").await.unwrap());
    assert_eq!(runner.get_provisioned_schemas().await.unwrap(), ["acme"]);
}
