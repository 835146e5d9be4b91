//! Types that are no structs with named fields.

use pgstrata_orm::Entity;

#[derive(Entity)]
enum Role {
    Admin,
}

#[derive(Entity)]
struct Pair(i64, String);

#[derive(Entity)]
struct Nothing;

#[derive(Entity)]
union Both {
    a: i64,
    b: f64,
}

#[derive(Entity)]
struct Generic<T> {
    #[column(primary_key)]
    id: i64,
    value: T,
}

fn main() {}
