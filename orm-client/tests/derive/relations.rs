//! Relations whose other side does not fit.

use pgstrata_orm::Entity;

#[derive(Entity)]
#[entity(has_many(posts: Post, column = writer_id))]
struct User {
    #[column(primary_key)]
    id: i64,
}

#[derive(Entity)]
#[entity(belongs_to(author: User, column = author_id))]
struct Post {
    #[column(primary_key)]
    id: i64,
    author_id: String,
}

#[derive(Entity)]
#[entity(has_many(posts: Post, column = author_id))]
struct Member {
    #[column(primary_key)]
    id: i64,
    #[column(primary_key)]
    team: i64,
}

fn main() {}
