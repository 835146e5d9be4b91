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

/// Many of one user's could be there.
#[derive(Entity)]
#[entity(has_one(profile: Profile, column = user_id))]
struct Reader {
    #[column(primary_key)]
    id: i64,
}

#[derive(Entity)]
struct Profile {
    #[column(primary_key)]
    id: i64,
    user_id: i64,
}

#[derive(Entity)]
#[entity(many_to_many(tags: Tag, through = PostTag, column = post_id, target = tag_id))]
#[entity(many_to_many(marks: Tag, column = post_id, target = tag_id))]
#[entity(many_to_many(labels: Tag, through = PostTag, column = post_id))]
struct Article {
    #[column(primary_key)]
    id: i64,
}

#[derive(Entity)]
struct Tag {
    #[column(primary_key)]
    id: i64,
}

#[derive(Entity)]
#[entity(many_to_many(tags: Tag, through = PostTag, column = post_id, target = tag_id))]
struct Note {
    #[column(primary_key)]
    id: i64,
}

#[derive(Entity)]
struct PostTag {
    #[column(primary_key)]
    post_id: i64,
    #[column(primary_key)]
    tag_id: String,
}

fn main() {}
