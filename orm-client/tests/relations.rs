//! Relations on SQLite.

// A test fails loudly.
#![allow(clippy::indexing_slicing, clippy::unwrap_used)]

#[path = "shared/library.rs"]
mod library;

use library::{Author, Book, BookGenre, Genre, empty, fill, relations_hold, with_library};
use pgstrata_orm::{EntityManager, EntityMetadata, Options};

async fn manager() -> EntityManager {
    let options = with_library(Options::url("sqlite::memory:").unwrap()).synchronize(true);
    EntityManager::register(options).await.unwrap()
}

#[tokio::test]
async fn relations_of_all_kinds_are_loaded_joined_and_asked_for() {
    let em = manager().await;
    for session in [em.public(), em.tenant("acme")] {
        fill(&session, "it's").await;
        relations_hold(&session, "it's").await;
        let tx = session.begin().await.unwrap();
        relations_hold(&tx, "it's").await;
        tx.rollback().await.unwrap();
        empty(&session).await;
    }
}

#[tokio::test]
async fn table_between_is_that_of_the_tenants_own_layer() {
    let em = manager().await;
    let acme = em.tenant("acme");
    em.execute("CREATE TABLE acme_book_genres AS SELECT * FROM book_genres", &[]).await.unwrap();
    acme.metadata().unwrap().set("BookGenre", EntityMetadata::table("acme_book_genres")).unwrap();
    fill(&em.public(), "p").await;
    let loaded = acme.find::<Book>().order_by(Book::ID.asc()).limit(1).load(Book::GENRES).await.unwrap();
    assert_eq!(loaded[0].1, []);
    acme.insert(&BookGenre { book: 1, genre: "p comedy".into() }).await.unwrap();
    let loaded = acme.find::<Book>().order_by(Book::ID.asc()).limit(1).load(Book::GENRES).await.unwrap();
    assert_eq!(loaded[0].1, [Genre { code: "p comedy".into() }]);
    let followed = acme.load(std::slice::from_ref(&loaded[0].0), Book::GENRES).await.unwrap();
    assert_eq!(followed, [[Genre { code: "p comedy".into() }]]);
    relations_hold(&em.public(), "p").await;
    assert_eq!(acme.count::<Author>().await.unwrap(), 3);
}
