//! Columns of which the database's clock says all.

use pgstrata_orm::Entity;

#[derive(Entity)]
struct Both {
    #[column(primary_key)]
    id: i64,
    #[column(created, updated)]
    at: std::time::SystemTime,
}

#[derive(Entity)]
struct More {
    #[column(primary_key, created)]
    at: std::time::SystemTime,
    #[column(updated, default = "now()")]
    changed: std::time::SystemTime,
    #[column(updated, deleted)]
    gone: Option<std::time::SystemTime>,
}

#[derive(Entity)]
struct Counted {
    #[column(primary_key)]
    id: i64,
    #[column(updated)]
    changes: i32,
}

fn main() {}
