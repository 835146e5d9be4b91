//! Tenants that a column tells apart, on SQLite: what tables of their own give them elsewhere.

// A test fails loudly.
#![allow(clippy::unwrap_used)]

#[path = "shared/articles.rs"]
mod articles;
#[path = "shared/library.rs"]
mod library;
#[path = "shared/notes.rs"]
mod notes;
#[path = "shared/scoped.rs"]
mod scoped;

use articles::{Article, times_are_the_databases};
use library::{fill, relations_hold, with_library};
use notes::{
    deleted_rows_are_kept, hooks_go_with_their_rows, refusal_takes_the_transaction_along, with_notes,
};
use pgstrata_orm::{EntityManager, Error, MissingTenant, Options, TenantColumnStrategy};
use scoped::{Project, Task, rows_are_their_tenants, with_scoped};

fn options() -> Options {
    let options = Options::url("sqlite::memory:").unwrap().tenant_strategy(TenantColumnStrategy::default());
    options.missing_tenant(MissingTenant::Reject).synchronize(true)
}

#[tokio::test]
async fn rows_of_a_tenant_are_its_own() {
    let em = EntityManager::register(with_scoped(options())).await.unwrap();
    for _ in 0..3 {
        rows_are_their_tenants(&em).await;
    }
    assert!(matches!(em.find::<Task>().await, Err(Error::NoTenant(_))));
    let either = Task::TITLE.eq("a").or(Task::TITLE.eq("b"));
    let sql = em.tenant("acme").delete::<Task>().where_(either).sql().unwrap();
    assert!(sql.ends_with(r#"WHERE t0."tenant_id" = $1 AND (t0."title" = $2 OR t0."title" = $3)"#), "{sql}");
}

#[tokio::test]
async fn relations_are_each_tenants_own() {
    let em = EntityManager::register(with_library(options())).await.unwrap();
    for tenant in ["acme", "globex"] {
        fill(&em.tenant(tenant), tenant).await;
    }
    for tenant in ["acme", "globex"] {
        relations_hold(&em.tenant(tenant), tenant).await;
        let tx = em.tenant(tenant).begin().await.unwrap();
        relations_hold(&tx, tenant).await;
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn rows_that_are_kept_and_hooks_are_each_tenants_own() {
    let em = EntityManager::register(with_notes(options()).entity::<Article>()).await.unwrap();
    for tenant in ["acme", "hooli"] {
        let session = em.tenant(tenant);
        deleted_rows_are_kept(&session).await;
        times_are_the_databases(&session).await;
        hooks_go_with_their_rows(&session, tenant).await;
        refusal_takes_the_transaction_along(&session).await;
    }
}

#[tokio::test]
async fn scope_is_left_only_where_there_is_one() {
    let em = EntityManager::register(Options::url("sqlite::memory:").unwrap()).await.unwrap();
    let refused = em.without_tenant_scope(async |_| Ok::<_, Error>(())).await;
    assert!(matches!(refused, Err(Error::Options(_))), "{refused:?}");
    for wrong in ["", "a\0b"] {
        let options = Options::url("sqlite::memory:").unwrap();
        let refused =
            EntityManager::register(options.tenant_strategy(TenantColumnStrategy::new(wrong))).await;
        assert!(matches!(refused, Err(Error::Options(_))), "{refused:?}");
    }
}

#[tokio::test]
async fn table_without_the_column_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}", folder.path().join("app.db").display());
    let plain = with_scoped(Options::url(&url).unwrap()).synchronize(true);
    let plain = EntityManager::register(plain).await.unwrap();
    plain.insert(&Project { id: 0, name: "everybody's".into() }).await.unwrap();
    let by_column = with_scoped(Options::url(&url).unwrap()).tenant_strategy(TenantColumnStrategy::default());
    let refused = EntityManager::register(by_column.clone().synchronize(true)).await;
    assert!(matches!(refused, Err(Error::Outdated { .. })), "{refused:?}");
    let em = EntityManager::register(by_column).await.unwrap();
    // Its name as a text would be equal to it.
    for tenant in ["tenant_id", "acme"] {
        let found = em.tenant(tenant).find::<Project>().await;
        assert!(matches!(found, Err(Error::Sqlite { .. })), "{found:?}");
        assert!(em.tenant(tenant).delete::<Project>().everywhere().await.is_err());
    }
}
