//! Tenants that a column tells apart, on PostgreSQL: what tables of their own give them elsewhere, and what keys and round trips are like.

#[path = "../../../orm-client/tests/shared/scoped.rs"]
mod scoped;

use crate::articles::{Article, times_are_the_databases};
use crate::library::{fill, relations_hold, with_library};
use crate::notes::{
    deleted_rows_are_kept, hooks_go_with_their_rows, refusal_takes_the_transaction_along, with_notes,
};
use pgstrata_orm::{EntityManager, Error, MissingTenant, Options, TenantColumnStrategy};
use pgstrata_tests::stage::names;
use pgstrata_tests::{Relay, Shop};
use scoped::{Project, Task, rows_are_their_tenants, with_scoped};

/// On a port, for entities that are not there yet.
async fn manager(
    shop: &Shop,
    port: u16,
    pipelined: bool,
    with: impl Fn(Options) -> Options,
) -> EntityManager {
    let options = with(Options::config(shop.config(port))).tenant_strategy(TenantColumnStrategy::default());
    shop.manager(options.missing_tenant(MissingTenant::Reject).pipelined(pipelined).synchronize(true)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_a_tenant_are_its_own() {
    let shop = Shop::new(&[]).await;
    for pipelined in [true, false] {
        let em = manager(&shop, shop.cluster.port(), pipelined, with_scoped).await;
        for _ in 0..3 {
            rows_are_their_tenants(&em).await;
        }
        assert!(matches!(em.find::<Task>().await, Err(Error::NoTenant(_))));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn relations_are_each_tenants_own() {
    let shop = Shop::new(&[]).await;
    let em = manager(&shop, shop.cluster.port(), true, with_library).await;
    for tenant in ["acme", "globex"] {
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
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_kept_and_hooks_are_each_tenants_own() {
    let shop = Shop::new(&[]).await;
    let em =
        manager(&shop, shop.cluster.port(), true, |options| with_notes(options).entity::<Article>()).await;
    for tenant in ["acme", "hooli"] {
        let session = em.tenant(tenant);
        deleted_rows_are_kept(&session).await;
        times_are_the_databases(&session).await;
        hooks_go_with_their_rows(&session, tenant).await;
        refusal_takes_the_transaction_along(&session).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_indexes_and_foreign_keys_begin_with_the_tenant() {
    let shop = Shop::new(&[]).await;
    let _em = manager(&shop, shop.cluster.port(), true, with_scoped).await;
    let keys = names(
        &shop.admin,
        "SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint \
         WHERE conrelid::regclass::text IN ('projects', 'tasks', 'countries') AND contype IN ('p', 'u', 'f') ORDER BY 1",
    );
    assert_eq!(
        keys.await,
        [
            "countries PRIMARY KEY (code)",
            "projects PRIMARY KEY (tenant_id, id)",
            "projects UNIQUE (tenant_id, name)",
            "tasks FOREIGN KEY (tenant_id, project_id) REFERENCES projects(tenant_id, id)",
            "tasks PRIMARY KEY (tenant_id, id)",
        ]
    );
    let indexes =
        names(&shop.admin, "SELECT indexdef FROM pg_indexes WHERE indexname = 'tasks_project_id_title_key'");
    assert!(indexes.await[0].ends_with("(tenant_id, project_id, title)"));
}

// One thread, so that what is sent at once is counted as one, always.
#[tokio::test]
async fn statement_of_each_tenant_is_one_round_trip_and_prepared_once() {
    let shop = Shop::new(&[]).await;
    let relay = Relay::start(shop.cluster.port()).await;
    let em = manager(&shop, relay.port(), true, with_scoped).await;
    let tenants: Vec<String> = (0..20).map(|n| format!("t{n}")).collect();
    for tenant in &tenants {
        em.tenant(tenant).find_by_pk::<Project>(1).await.unwrap();
    }
    for tenant in &tenants {
        let before = relay.round_trips();
        em.tenant(tenant).find_by_pk::<Project>(1).await.unwrap();
        assert_eq!(relay.round_trips() - before, 1, "{tenant}");
        let before = relay.round_trips();
        em.tenant(tenant).insert(&Project { id: 0, name: "x".into() }).await.unwrap();
        assert_eq!(relay.round_trips() - before, 1, "{tenant}");
    }
}
