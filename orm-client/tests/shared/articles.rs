//! Articles that say when they were inserted and changed: what must hold of them on each database.

// A helper of tests fails loudly, as they do.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, SystemTime};

use pgstrata_orm::{Entity, Session};

#[derive(Clone, Debug, PartialEq, Entity)]
#[entity(table = "articles")]
pub struct Article {
    #[column(primary_key, generated)]
    pub id: i64,
    #[column(unique)]
    pub slug: String,
    pub text: String,
    #[column(created)]
    pub created_at: SystemTime,
    #[column(updated)]
    pub updated_at: Option<SystemTime>,
}

impl Article {
    fn new(slug: &str) -> Self {
        Self { id: 0, slug: slug.into(), text: String::new(), created_at: long_ago(), updated_at: None }
    }
}

fn long_ago() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(86_400)
}

/// Both times are of another day: what the ORM sets is told from them without waiting.
async fn aged(session: &Session, slug: &str) -> Article {
    let update =
        session.update::<Article>().set(Article::CREATED_AT, long_ago()).set(Article::UPDATED_AT, long_ago());
    assert_eq!(update.where_(Article::SLUG.eq(slug)).await.unwrap(), 1);
    let article = session.find_one::<Article>().where_(Article::SLUG.eq(slug)).await.unwrap().unwrap();
    assert_eq!((article.created_at, article.updated_at), (long_ago(), Some(long_ago())));
    article
}

fn is_changed(article: &Article) {
    assert_eq!(article.created_at, long_ago(), "{article:?}");
    assert!(article.updated_at > Some(long_ago()), "{article:?}");
}

/// The database says when a row was inserted and changed, whatever the entity has.
pub async fn times_are_the_databases(session: &Session) {
    let new = session.insert(&Article::new("one")).await.unwrap();
    assert!(new.created_at > long_ago() && new.updated_at == Some(new.created_at), "{new:?}");
    let old = aged(session, "one").await;
    is_changed(&session.save_changes(&old, &Article { text: "a".into(), ..old.clone() }).await.unwrap());
    let old = aged(session, "one").await;
    // A change of these columns alone is none.
    let touched = Article { created_at: SystemTime::now(), updated_at: None, ..old.clone() };
    assert_eq!(session.save_changes(&old, &touched).await.unwrap(), old);
    is_changed(&session.save(&touched).await.unwrap());
    aged(session, "one").await;
    is_changed(&session.upsert(&Article::new("one")).on(Article::SLUG).await.unwrap());
    aged(session, "one").await;
    let one = || Article::SLUG.eq("one");
    session.update::<Article>().set(Article::TEXT, "b").where_(one()).await.unwrap();
    is_changed(&session.find_one::<Article>().where_(one()).await.unwrap().unwrap());
    let many = session.save_many(&[Article::new("two"), Article::new("three")]).await.unwrap();
    assert!(many.iter().all(|article| article.created_at > long_ago()), "{many:?}");
    assert_eq!(session.copy_in(&[Article::new("four"), Article::new("five")]).await.unwrap(), 2);
    let copied = session.find::<Article>().where_(Article::SLUG.in_(["four", "five"])).await.unwrap();
    assert!(copied.len() == 2 && copied.iter().all(|article| article.created_at > long_ago()), "{copied:?}");
    session.delete::<Article>().everywhere().await.unwrap();
}
