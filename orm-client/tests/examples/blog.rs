// A blog, and a manager of it that is connected to nothing. Hidden lines of the documentation's examples include it.

use futures_util::FutureExt;
pub use pgstrata_orm::*;

#[derive(Clone, Debug, Default, PartialEq, Entity)]
#[entity(table = "users", has_many(posts: Post, column = author_id), has_one(profile: Profile, column = user_id))]
pub struct User {
    #[column(primary_key, generated)]
    pub id: i64,
    pub name: String,
    #[column(unique)]
    pub email: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Entity)]
#[entity(table = "posts", index(columns(author_id, title), unique), belongs_to(author: User, column = author_id))]
#[entity(many_to_many(tags: Tag, through = PostTag, column = post_id, target = tag_id))]
pub struct Post {
    #[column(primary_key, generated)]
    pub id: i64,
    pub author_id: i64,
    pub title: String,
    pub summary: Option<String>,
    pub likes: i32,
}

#[derive(Clone, Debug, Default, PartialEq, Entity)]
#[entity(table = "profiles", belongs_to(user: User, column = user_id))]
pub struct Profile {
    #[column(primary_key)]
    pub user_id: i64,
    pub about: String,
}

#[derive(Clone, Debug, Default, PartialEq, Entity)]
#[entity(table = "tags", many_to_many(posts: Post, through = PostTag, column = tag_id, target = post_id))]
pub struct Tag {
    #[column(primary_key, generated)]
    pub id: i64,
    #[column(unique)]
    pub name: String,
}

#[derive(Clone, Debug, Default, PartialEq, Entity)]
#[entity(table = "post_tags")]
#[entity(belongs_to(post: Post, column = post_id), belongs_to(tag: Tag, column = tag_id))]
pub struct PostTag {
    #[column(primary_key)]
    pub post_id: i64,
    #[column(primary_key)]
    pub tag_id: i64,
}

pub fn options() -> Options {
    let options = Options::url("postgres://postgres@localhost/blog").unwrap().entity::<User>().entity::<Post>();
    options.entity::<Profile>().entity::<Tag>().entity::<PostTag>()
}

pub fn manager() -> EntityManager {
    manager_with(options())
}

// Where nothing is to be created, nothing is waited for.
pub fn manager_with(options: Options) -> EntityManager {
    EntityManager::register(options).now_or_never().unwrap().unwrap()
}
