//! What the tables are.

use pgstrata_orm::Entity;
use serde::Serialize;

/// Somebody who writes.
#[derive(Debug, Entity, Serialize)]
#[entity(table = "users", has_many(posts: Post, column = user_id))]
pub struct User {
    #[column(primary_key, generated)]
    pub id: i64,
    pub name: String,
    #[column(unique)]
    pub email: String,
}

/// What they write.
#[derive(Debug, Entity, Serialize)]
#[entity(table = "posts", belongs_to(author: User, column = user_id))]
pub struct Post {
    #[column(primary_key, generated)]
    pub id: i64,
    #[column(index)]
    pub user_id: i64,
    pub title: String,
}
