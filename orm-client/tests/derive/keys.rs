//! Primary keys, and what the database gives.

use pgstrata_orm::Entity;

#[derive(Entity)]
struct Keyless {
    id: i64,
}

#[derive(Entity)]
struct TwoGenerated {
    #[column(primary_key, generated)]
    id: i64,
    #[column(primary_key, generated = "identity")]
    number: i32,
}

#[derive(Entity)]
struct Wide {
    #[column(primary_key)]
    a: i64,
    #[column(primary_key)]
    b: i64,
    #[column(primary_key)]
    c: i64,
    #[column(primary_key)]
    d: i64,
    #[column(primary_key)]
    e: i64,
}

#[derive(Entity)]
struct Wrong {
    #[column(primary_key)]
    id: Option<i64>,
    #[column(generated)]
    number: i64,
    #[column(primary_key, generated = "random", default = "7")]
    other: i64,
}

fn main() {}
