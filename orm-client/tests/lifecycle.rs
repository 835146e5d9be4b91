//! Rows that are kept when they are deleted, hooks, and types of the application's own, on SQLite.

// A test fails loudly.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

#[path = "shared/articles.rs"]
mod articles;
#[path = "shared/members.rs"]
mod members;
#[path = "shared/notes.rs"]
mod notes;

use articles::{Article, times_are_the_databases};
use members::{Member, Remark, own_types_are_columns};
use notes::{
    deleted_rows_are_kept, hooks_go_with_their_rows, refusal_takes_the_transaction_along, with_notes,
};
use pgstrata_orm::{EntityManager, Options};

async fn manager() -> EntityManager {
    let options = with_notes(Options::url("sqlite::memory:").unwrap()).synchronize(true);
    EntityManager::register(options).await.unwrap()
}

#[tokio::test]
async fn deleted_rows_are_found_when_they_are_asked_for() {
    let em = manager().await;
    for session in [em.public(), em.tenant("acme")] {
        deleted_rows_are_kept(&session).await;
        let tx = session.begin().await.unwrap();
        deleted_rows_are_kept(&tx).await;
        tx.commit().await.unwrap();
    }
}

#[tokio::test]
async fn hooks_are_called_around_each_row() {
    let em = manager().await;
    for tenant in ["public", "acme"] {
        hooks_go_with_their_rows(&em.tenant(tenant), tenant).await;
        refusal_takes_the_transaction_along(&em.tenant(tenant)).await;
    }
}

#[tokio::test]
async fn types_of_the_applications_own_are_columns() {
    let options = Options::url("sqlite::memory:").unwrap().entity::<Member>().entity::<Remark>();
    let em = EntityManager::register(options.synchronize(true)).await.unwrap();
    own_types_are_columns(&em.tenant("acme")).await;
}

#[tokio::test]
async fn times_are_those_of_the_database() {
    let options = Options::url("sqlite::memory:").unwrap().entity::<Article>();
    let em = EntityManager::register(options.synchronize(true)).await.unwrap();
    for session in [em.public(), em.tenant("acme")] {
        times_are_the_databases(&session).await;
        let tx = session.begin().await.unwrap();
        times_are_the_databases(&tx).await;
        tx.commit().await.unwrap();
    }
}
