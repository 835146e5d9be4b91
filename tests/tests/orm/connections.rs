//! What connections begin with, and how old they get.

use std::time::Duration;

use pgstrata_orm::{Error, ProxyStrategy, Session};
use pgstrata_tests::Shop;
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::shop::{User, names};

async fn setting(session: &Session, name: &str) -> String {
    let sql = format!("SELECT current_setting('{name}')");
    session.query_as::<(String,)>(&sql, &[]).await.unwrap().remove(0).0
}

#[tokio::test(flavor = "multi_thread")]
async fn each_connection_begins_with_its_settings() {
    let shop = Shop::new(&["acme"]).await;
    for strategy in STRATEGIES {
        let options = shop.options().tenant_strategy(strategy).max_connections(1);
        let em = shop.manager(options.after_connect("SET work_mem = '7MB'; SET jit = off -- done")).await;
        let acme = em.tenant("acme");
        // Also behind SQL that has changed them.
        for _ in 0..3 {
            assert_eq!(setting(&acme, "work_mem").await, "7MB", "{strategy}");
            acme.execute("SET work_mem = '9MB'", &[]).await.unwrap();
        }
        assert_eq!(setting(&acme, "jit").await, "off", "{strategy}");
        assert_eq!(em.connections(), (1, 1));
        let em = shop.manager(shop.options().after_connect("SELECT 1 / 0")).await;
        let error = em.find::<User>().await.unwrap_err();
        assert!(matches!(error, Error::Connect(_)), "{error}");
    }
    let options = shop.options().tenant_strategy(ProxyStrategy).after_connect("SET jit = off");
    assert!(matches!(pgstrata_orm::EntityManager::register(options).await, Err(Error::Options(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn connection_that_begins_as_another_tenants_is_nobodys() {
    let shop = Shop::new(&["acme", "globex"]).await;
    for strategy in STRATEGIES {
        for pipelined in [true, false] {
            let theft = "SET search_path = globex; SET default_transaction_read_only = off; SET SESSION search_path TO globex";
            let options = shop.options().tenant_strategy(strategy).pipelined(pipelined).max_connections(1);
            let em = shop.manager(options.after_connect(theft)).await;
            for _ in 0..3 {
                assert_eq!(names(&em.tenant("acme")).await, ["acme"], "{strategy}");
                assert_eq!(names(&em.public()).await, ["public"], "{strategy}");
                let path = setting(&em.public(), "search_path").await;
                assert!(!path.contains("globex"), "{strategy}: {path}");
                em.tenant("acme").update::<User>().set(User::ROLE, "x").everywhere().await.unwrap();
            }
            let globex = em.tenant("globex").find::<User>().await.unwrap();
            assert_eq!(globex[0].role.as_deref(), Some("member"), "{strategy}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn old_connection_is_replaced() {
    let shop = Shop::new(&["acme"]).await;
    let backend = async |em: &pgstrata_orm::EntityManager| {
        let sql = "SELECT pg_backend_pid()";
        em.tenant("acme").query_as::<(i32,)>(sql, &[]).await.unwrap().remove(0).0
    };
    let young = shop.manager(shop.options().max_connections(1).max_lifetime(Duration::from_secs(3600))).await;
    assert_eq!(backend(&young).await, backend(&young).await);
    let old = shop.manager(shop.options().max_connections(1).max_lifetime(Duration::ZERO)).await;
    assert_ne!(backend(&old).await, backend(&old).await);
    assert_eq!(old.connections().0, 1);
}
