//! The entity that is read.

use pgstrata_orm::Entity;

/// Somebody.
#[derive(Entity)]
#[entity(table = "users")]
pub struct User {
    /// The key.
    #[column(primary_key)]
    pub id: i64,
    /// Not empty.
    pub name: String,
    /// May be.
    pub email: Option<String>,
}
