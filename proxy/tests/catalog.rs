//! The catalog and the directory of tenants, asked of a real PostgreSQL.
// A test may fail loudly, its helpers too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing)]

mod catalog {
    pub mod server;
}

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use catalog::server::Server;
use pgstrata::catalog::{Catalog, Control, TenantDirectory, load};
use pgstrata::config::Config;
use pgstrata::metrics::Metrics;
use pgstrata_sql::scope::Names;
use pgstrata_tenancy::TenantId;

const SCHEMA: &str = include_str!("catalog/schema.sql");

fn config(server: &Server, more: &str) -> Config {
    let text = format!(
        "[databases.app]\nhost = {:?}\nuser = \"postgres\"\ndatabase = \"postgres\"\n{more}",
        server.socket_dir()
    );
    Config::parse(&text, Path::new("test.toml")).unwrap()
}

fn control(config: &Config) -> Control {
    Control::new("app", &config.databases["app"], None).unwrap()
}

#[tokio::test]
async fn relations_are_plain_only_if_nothing_behind_them_resolves_names() {
    let Some(server) = Server::start() else {
        return;
    };
    let client = server.connect().await;
    client.batch_execute(SCHEMA).await.unwrap();
    let control = control(&config(&server, ""));
    let names = load::schema(&control, "t1").await.unwrap();
    // The name of each relation says what it has to be.
    for (name, relation) in &names.relations {
        if relation.kind != b'S' {
            assert_eq!(relation.plain, name.starts_with("plain_"), "{name}");
        }
    }
    assert_eq!(names.relations.values().filter(|r| r.kind == b'S' && !r.plain).count(), 0);
    assert!(names.relations.len() > 40, "{}", names.relations.len());
    assert!(names.functions.contains("f") && names.functions.contains("touch"));
    for name in ["mood", "_mood", "pair", "positive"] {
        assert!(names.types.contains(name), "{name} in {:?}", names.types);
    }
    assert!(!names.types.contains("plain_users"));
    assert!(names.has_triggers && !names.has_operators);

    let public = load::schema(&control, "public").await.unwrap();
    assert!(!public.has_triggers && public.has_operators, "citext brings operators");
    let nothing = load::schema(&control, "nobody").await.unwrap();
    assert!(nothing.relations.is_empty() && nothing.functions.is_empty());
    let builtin = load::builtins(&control).await.unwrap();
    assert!(builtin.relations.contains("pg_class") && builtin.types.contains("int4"));
    assert!(builtin.functions.contains("lower") && !builtin.types.contains("pg_class"));
}

#[tokio::test]
async fn relations_lead_to_the_schemas_that_would_be_written_through_them() {
    let Some(server) = Server::start() else {
        return;
    };
    let client = server.connect().await;
    client
        .batch_execute(
            "CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE public.plans (id int); CREATE TABLE b.theirs (id int);
             CREATE VIEW public.shown AS SELECT * FROM b.theirs;
             SET search_path TO a, public;
             CREATE TABLE own (id int); CREATE VIEW inward AS SELECT * FROM own;
             CREATE VIEW outward AS SELECT * FROM plans; CREATE VIEW further AS SELECT * FROM outward;
             CREATE VIEW behind AS SELECT shown.id FROM shown, plans;
             CREATE VIEW settings AS SELECT name, setting FROM pg_settings;
             CREATE TABLE ruled (id int); CREATE RULE r AS ON INSERT TO ruled DO ALSO DELETE FROM b.theirs;
             CREATE TABLE over_rule (id int); CREATE RULE r AS ON INSERT TO over_rule DO ALSO INSERT INTO ruled VALUES (1);
             CREATE TABLE parted (id int) PARTITION BY LIST (id); CREATE TABLE b.part PARTITION OF parted DEFAULT;
             CREATE TABLE child () INHERITS (public.plans);
             CREATE TABLE public.keys (id int PRIMARY KEY); CREATE TABLE pointing (id int REFERENCES keys)",
        )
        .await
        .unwrap();
    let names = load::schema(&control(&config(&server, "")), "a").await.unwrap();
    let mut outward: Vec<_> =
        names.outward.iter().map(|(name, schemas)| (&**name, schemas.clone())).collect();
    outward.sort();
    outward.iter_mut().for_each(|(_, schemas)| schemas.sort());
    let outward: Vec<_> = outward.into_iter().map(|(name, schemas)| (name, schemas.join(" "))).collect();
    let expected = [
        ("behind", "b public"),
        ("further", "public"),
        ("outward", "public"),
        ("over_rule", "b"),
        ("parted", "b"),
        ("ruled", "b"),
        ("settings", "pg_catalog"),
    ];
    assert_eq!(outward, expected.map(|(name, schemas)| (name, schemas.to_owned())));
    assert!(names.relations["inward"].plain && !names.relations["outward"].is_table());
}

#[tokio::test]
async fn directory_knows_tenants_and_nothing_else() {
    let Some(server) = Server::start() else {
        return;
    };
    let client = server.connect().await;
    client
        .batch_execute("CREATE SCHEMA acme; CREATE SCHEMA t_1001; CREATE SCHEMA ext; CREATE SCHEMA pgstrata")
        .await
        .unwrap();
    let config = config(
        &server,
        "[tenancy]\nshared_schemas = [\"ext\"]\ntenant_cache = \"1h\"\n[tenants.globex]\nschema = \"t_1001\"",
    );
    let (catalog, _) =
        Catalog::new(control(&config), &[], Duration::from_secs(3600), Arc::new(Metrics::new(1)));
    let (directory, lookups) = TenantDirectory::new(control(&config), &config, catalog);
    let answering = tokio::spawn(lookups.run());
    let resolve = async |name: &str| {
        let tenant = TenantId::new(name).unwrap();
        let schema = config.schemas.candidate(&tenant)?;
        let state = directory.look(&schema).await.unwrap().look.state;
        state.map(|_| schema.to_string())
    };
    assert_eq!(resolve("acme").await.as_deref(), Some("acme"));
    assert_eq!(resolve("globex").await.as_deref(), Some("t_1001"));
    // Shared, the system's, another tenant's by its schema, in other letters, injected, absent.
    for name in ["ext", "public", "pg_catalog", "information_schema", "pgstrata", "t_1001", "ACME"] {
        assert_eq!(resolve(name).await, None, "{name}");
    }
    assert_eq!(resolve("x' OR true --").await, None);
    assert_eq!(resolve("late").await, None);

    // Absence is believed for a second at most, presence as long as configured.
    client.batch_execute("CREATE SCHEMA late; DROP SCHEMA acme").await.unwrap();
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(resolve("late").await.as_deref(), Some("late"));
    assert_eq!(resolve("acme").await.as_deref(), Some("acme"));
    directory.invalidate("acme");
    assert_eq!(resolve("acme").await, None);
    client.batch_execute("DROP SCHEMA late").await.unwrap();
    directory.invalidate_all();
    assert_eq!(resolve("late").await, None);
    drop(directory);
    tokio::time::timeout(Duration::from_secs(5), answering).await.unwrap().unwrap();
}

async fn loaded(catalog: &Catalog, schema: &str) -> Arc<Names> {
    for _ in 0..500 {
        if let Some(names) = catalog.get(schema) {
            return names;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{schema} was not loaded");
}

#[tokio::test]
async fn catalog_loads_behind_and_forgets_on_invalidation() {
    let Some(server) = Server::start() else {
        return;
    };
    let client = server.connect().await;
    client.batch_execute("CREATE SCHEMA a; CREATE SCHEMA b; CREATE TABLE a.one()").await.unwrap();
    let config = config(&server, "");
    let shared = ["public".to_owned()];
    let (catalog, loader) =
        Catalog::new(control(&config), &shared, Duration::from_secs(3600), Arc::new(Metrics::new(1)));
    // Asked before anybody loads: it must not be lost, and not be asked twice.
    assert!(catalog.get("a").is_none() && catalog.get("a").is_none());
    let loading = tokio::spawn(loader.run());
    let before = loaded(&catalog, "a").await;
    assert!(before.tenant.relations.contains_key("one") && before.shared.len() == 1);
    loaded(&catalog, "b").await;

    client.batch_execute("CREATE TABLE a.two()").await.unwrap();
    assert!(!loaded(&catalog, "a").await.tenant.relations.contains_key("two"));
    let epoch = catalog.epoch("a");
    catalog.invalidate("a");
    assert_ne!(catalog.epoch("a"), epoch);
    assert!(catalog.get("a").is_none());
    assert!(loaded(&catalog, "a").await.tenant.relations.contains_key("two"));

    client.batch_execute("CREATE TABLE public.plans()").await.unwrap();
    catalog.invalidate("public");
    assert!(catalog.get("a").is_none() && catalog.get("b").is_none());
    assert!(loaded(&catalog, "b").await.shared[0].relations.contains_key("plans"));

    // With nobody left to ask, the loader ends.
    drop(catalog);
    tokio::time::timeout(Duration::from_secs(5), loading).await.unwrap().unwrap();
}
