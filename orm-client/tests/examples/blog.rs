// A blog, and a manager of it that is connected to nothing. Hidden lines of the documentation's examples include it.

use futures_util::FutureExt;
pub use pgstrata_orm::*;

#[derive(Clone, Debug, Default, PartialEq, Entity)]
#[entity(table = "users", has_many(posts: Post, column = author_id))]
pub struct User {
    #[column(primary_key, generated)]
    pub id: i64,
    pub name: String,
    #[column(unique)]
    pub email: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Entity)]
#[entity(table = "posts", index(columns(author_id, title), unique), belongs_to(author: User, column = author_id))]
pub struct Post {
    #[column(primary_key, generated)]
    pub id: i64,
    pub author_id: i64,
    pub title: String,
    pub summary: Option<String>,
    pub likes: i32,
}

pub fn options() -> Options {
    Options::url("postgres://postgres@localhost/blog").unwrap().entity::<User>().entity::<Post>()
}

pub fn manager() -> EntityManager {
    manager_with(options())
}

// Where nothing is to be created, nothing is waited for.
pub fn manager_with(options: Options) -> EntityManager {
    EntityManager::register(options).now_or_never().unwrap().unwrap()
}
