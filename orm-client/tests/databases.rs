//! A database for each tenant, on SQLite: a file each.

// A test fails loudly.
#![allow(clippy::unwrap_used)]

#[path = "shared/library.rs"]
mod library;

use std::path::Path;
use std::time::Duration;

use library::{Author, fill, relations_hold, with_library};
use pgstrata_orm::{DatabaseStrategy, EntityManager, Error, Options, PostgresTenantMigrationRunner};

fn strategy(folder: &Path) -> DatabaseStrategy {
    let folder = folder.to_owned();
    DatabaseStrategy::new(move |tenant| {
        let known = ["acme", "globex", "initech"].contains(&tenant);
        known.then(|| format!("sqlite://{}", folder.join(tenant).display()))
    })
}

async fn manager(folder: &Path, strategy: DatabaseStrategy) -> EntityManager {
    let options = with_library(Options::url(&format!("sqlite://{}", folder.join("main").display())).unwrap());
    EntityManager::register(options.tenant_strategy(strategy).synchronize(true)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_have_databases_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let em = manager(folder.path(), strategy(folder.path())).await;
    for tenant in ["acme", "globex"] {
        em.synchronize_database(tenant).await.unwrap();
        fill(&em.tenant(tenant), tenant).await;
    }
    for tenant in ["acme", "globex"] {
        relations_hold(&em.tenant(tenant), tenant).await;
        let tx = em.tenant(tenant).begin().await.unwrap();
        relations_hold(&tx, tenant).await;
        tx.commit().await.unwrap();
    }
    assert_eq!(em.public().count::<Author>().await.unwrap(), 0);
    let unknown = em.tenant("hooli").count::<Author>().await;
    assert!(matches!(&unknown, Err(Error::NoDatabase(tenant)) if tenant == "hooli"), "{unknown:?}");
    assert!(PostgresTenantMigrationRunner::new(em.driver()).is_err());
    // SQL of the application's own is the tenant's, too: nothing else is in its database.
    let rows: Vec<(i64,)> = em.tenant("acme").query_as("SELECT count(*) FROM authors", &[]).await.unwrap();
    assert_eq!(rows, [(3,)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_nobody_uses_are_closed() {
    let folder = tempfile::tempdir().unwrap();
    let em = manager(folder.path(), strategy(folder.path()).max_databases(2).idle(Duration::from_millis(50)))
        .await;
    let main = em.connections().0;
    em.synchronize_database("acme").await.unwrap();
    let tx = em.tenant("acme").begin().await.unwrap();
    let other = em.tenant("globex").begin().await.unwrap();
    // Both are in use, however long that is.
    let refused = em.synchronize_database("initech").await.unwrap_err();
    assert!(matches!(refused, Error::Options(_)), "{refused}");
    drop(other);
    while em.synchronize_database("initech").await.is_err() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tx.save(&Author { id: 1, name: "kept".into() }).await.unwrap();
    tx.commit().await.unwrap();
    while em.connections().0 > main {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(em.tenant("acme").count::<Author>().await.unwrap(), 1);
    em.close();
    for tenant in ["acme", "globex"] {
        assert!(em.tenant(tenant).count::<Author>().await.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tenant_without_a_database_closes_no_pool() {
    let folder = tempfile::tempdir().unwrap();
    let em = manager(folder.path(), strategy(folder.path()).max_databases(1)).await;
    em.synchronize_database("acme").await.unwrap();
    let open = em.connections();
    for _ in 0..3 {
        let unknown = em.tenant("hooli").count::<Author>().await;
        assert!(matches!(unknown, Err(Error::NoDatabase(_))));
    }
    assert_eq!(em.connections(), open);
}
