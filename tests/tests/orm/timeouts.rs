//! What took too long, told from what somebody has stopped.

use std::time::Duration;

use pgstrata_orm::{EntityManager, Error, MetadataContext, Options};
use pgstrata_tests::Shop;
use pgstrata_tests::setup::STRATEGIES;
use pgstrata_tests::shop::{User, with_entities};
use pgstrata_tests::stage::{eventually, names};

/// So long that no test waits for it.
const LONG: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(500);

/// Sleeps, and says that it was stopped as a PostgreSQL does that speaks German.
const SLEEP_IN_GERMAN: &str = "BEGIN PERFORM pg_sleep(600); EXCEPTION WHEN query_canceled THEN \
     RAISE query_canceled USING MESSAGE = 'storniere Anfrage'; END";

async fn failed(em: &EntityManager, sql: &str) -> Error {
    let error = MetadataContext::run("acme", em.execute(sql, &[])).await.unwrap_err();
    assert_eq!(error.sqlstate().unwrap().code(), "57014", "{error}");
    error
}

/// What becomes of a statement that an administrator stops.
async fn cancelled(shop: &Shop, em: &EntityManager, sql: &str) -> Error {
    let cancel = "SELECT pg_cancel_backend(pid)::text FROM pg_stat_activity \
         WHERE usename = 'shop' AND state = 'active' AND wait_event = 'PgSleep'";
    let cancel = eventually(vec!["true".to_owned()], async || names(&shop.admin, cancel).await);
    tokio::join!(failed(em, sql), cancel).0
}

#[tokio::test(flavor = "multi_thread")]
async fn statement_that_somebody_cancels_has_not_timed_out() {
    let shop = Shop::new(&["acme"]).await;
    let german = format!("DO $$ {SLEEP_IN_GERMAN} $$");
    for strategy in STRATEGIES {
        for timeout in [None, Some(LONG)] {
            let options = shop.options().tenant_strategy(strategy);
            let em = shop.manager(timeout.into_iter().fold(options, Options::query_timeout)).await;
            for sql in ["SELECT pg_sleep(600)", german.as_str()] {
                let stopped = cancelled(&shop, &em, sql).await;
                assert!(!stopped.is_timeout(), "{strategy} {timeout:?}: {stopped}");
            }
        }
        let em = shop.manager(shop.options().tenant_strategy(strategy).query_timeout(SHORT)).await;
        for sql in ["SELECT pg_sleep(600)", german.as_str()] {
            let slow = failed(&em, sql).await;
            assert!(slow.is_timeout(), "{strategy}: {slow}");
        }
        let in_transaction = async { em.begin().await.unwrap().execute(&german, &[]).await.unwrap_err() };
        let slow = MetadataContext::run("acme", in_transaction).await;
        assert!(slow.is_timeout(), "{strategy}: {slow}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn timeout_of_postgresqls_own_is_one() {
    let shop = Shop::new(&["acme"]).await;
    shop.run("ALTER ROLE shop SET statement_timeout = '300ms'").await;
    let em = shop.manager(shop.options()).await;
    let slow = failed(&em, "SELECT pg_sleep(600)").await;
    assert!(slow.is_timeout(), "{slow}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wait_for_a_connection_times_out_and_a_refused_one_does_not() {
    let shop = Shop::new(&["acme"]).await;
    let em = shop.manager(shop.options().max_connections(1).wait_timeout(SHORT)).await;
    let tx = em.begin().await.unwrap();
    let waited = em.find::<User>().await.unwrap_err();
    assert!(matches!(waited, Error::Connect(_)) && waited.is_timeout(), "{waited}");
    drop(tx);

    let nobody = with_entities(Options::url("postgres://shop@127.0.0.1:1/shop").unwrap());
    let refused = shop.manager(nobody).await.find::<User>().await.unwrap_err();
    assert!(matches!(refused, Error::Connect(_)) && !refused.is_timeout(), "{refused}");
}
