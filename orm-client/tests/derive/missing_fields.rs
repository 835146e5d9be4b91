//! Indexes and relations of fields that are not there.

use pgstrata_orm::Entity;

#[derive(Entity)]
#[entity(index(columns(id, titel)), belongs_to(author: Post, column = autor_id))]
#[entity(belongs_to(editor: Post, field = id))]
struct Post {
    #[column(primary_key)]
    id: i64,
    title: String,
}

fn main() {}
