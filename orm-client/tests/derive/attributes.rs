//! Attributes that say nothing, or too much: all of a type's are told at once.

use pgstrata_orm::Entity;

#[derive(Entity)]
#[entity(tabel = "users", table = "a", table = "b", index(unique), wrong(1 + 2))]
#[entity(index(columns(id, email, id), sorted))]
struct User {
    #[column(primary_key, primary_key, unsigned)]
    id: i64,
    #[column(name = 7)]
    name: String,
    #[column(unique = true)]
    email: String,
    #[column(skip, unique)]
    cached: String,
    #[column]
    empty: String,
    twice: Option<Option<i64>>,
}

fn main() {}
