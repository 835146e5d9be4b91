//! A database for each tenant, on PostgreSQL.

use std::time::Duration;

use crate::library::{Author, fill, relations_hold, with_library};
use pgstrata_orm::{DatabaseStrategy, EntityManager, Error, Options};
use pgstrata_tests::Shop;
use pgstrata_tests::stage::{eventually, names};

/// Databases called as the tenants are.
pub async fn create(shop: &Shop, tenants: &[&str]) {
    for tenant in tenants {
        shop.run(&format!("CREATE DATABASE \"{}\" OWNER shop", tenant.replace('"', "\"\""))).await;
    }
}

/// Where they are.
pub fn strategy(shop: &Shop, tenants: &[&str]) -> DatabaseStrategy {
    let port = shop.cluster.port();
    let url = |tenant: &str| format!("postgres://shop@127.0.0.1:{port}/{}", tenant.replace('"', "%22"));
    DatabaseStrategy::of(tenants.iter().map(|tenant| (*tenant, url(tenant))))
}

async fn manager(shop: &Shop, strategy: DatabaseStrategy, pipelined: bool) -> EntityManager {
    let options = with_library(Options::config(shop.config(shop.cluster.port())));
    shop.manager(options.tenant_strategy(strategy).pipelined(pipelined).synchronize(true)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_have_databases_of_their_own() {
    let shop = Shop::new(&[]).await;
    create(&shop, &["acme", "globex"]).await;
    for pipelined in [true, false] {
        let em = manager(&shop, strategy(&shop, &["acme", "globex"]), pipelined).await;
        for tenant in ["acme", "globex"] {
            em.synchronize_database(tenant).await.unwrap();
            fill(&em.tenant(tenant), tenant).await;
        }
        for _ in 0..3 {
            for tenant in ["acme", "globex"] {
                relations_hold(&em.tenant(tenant), tenant).await;
                let tx = em.tenant(tenant).begin().await.unwrap();
                relations_hold(&tx, tenant).await;
                tx.commit().await.unwrap();
            }
        }
        assert_eq!(em.public().count::<Author>().await.unwrap(), 0);
        let unknown = em.tenant("hooli").count::<Author>().await;
        assert!(matches!(&unknown, Err(Error::NoDatabase(tenant)) if tenant == "hooli"), "{unknown:?}");
        for tenant in ["acme", "globex"] {
            crate::library::empty(&em.tenant(tenant)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_are_closed_when_the_first_runtime_is_gone() {
    let shop = Shop::new(&[]).await;
    create(&shop, &["acme", "globex"]).await;
    let strategy = strategy(&shop, &["acme", "globex"]).idle(Duration::from_millis(300));
    let em = manager(&shop, strategy, true).await;
    let first = em.clone();
    let runtime = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(first.synchronize_database("acme")).unwrap();
    });
    tokio::task::spawn_blocking(|| runtime.join().unwrap()).await.unwrap();
    em.synchronize_database("globex").await.unwrap();
    let open = "SELECT datname::text FROM pg_stat_activity WHERE usename = 'shop' AND datname = 'globex'";
    eventually(Vec::<String>::new(), async || names(&shop.admin, open).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_nobody_uses_are_closed() {
    let shop = Shop::new(&[]).await;
    create(&shop, &["acme"]).await;
    let strategy = strategy(&shop, &["acme"]).idle(Duration::from_millis(100));
    let em = manager(&shop, strategy, true).await;
    em.synchronize_database("acme").await.unwrap();
    let open = "SELECT datname::text FROM pg_stat_activity WHERE usename = 'shop' AND datname = 'acme'";
    eventually(Vec::<String>::new(), async || names(&shop.admin, open).await).await;
    assert_eq!(em.tenant("acme").count::<Author>().await.unwrap(), 0);
}
