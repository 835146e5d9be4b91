//! Values that the database can't give.

use pgstrata_orm::Entity;

#[derive(Entity)]
struct Text {
    #[column(primary_key, generated)]
    id: String,
}

#[derive(Entity)]
struct Number {
    #[column(primary_key, generated = "uuid")]
    id: i64,
}

fn main() {}
