//! The entity that is read.

use pgstrata_orm::Entity;
use pgstrata_orm::entity::{ColumnDefinition, EntityDefinition, Parameter};
use tokio_postgres::{Error, Row};

/// Somebody.
pub struct User {
    /// The key.
    pub id: i64,
    /// Not empty.
    pub name: String,
    /// May be.
    pub email: Option<String>,
}

const fn column(name: &'static str, sql_type: &'static str, primary_key: bool) -> ColumnDefinition {
    ColumnDefinition {
        field: name,
        name,
        sql_type,
        nullable: false,
        primary_key,
        generated: None,
        default: None,
        unique: false,
    }
}

impl Entity for User {
    type Key = i64;

    const DEFINITION: &'static EntityDefinition = &EntityDefinition {
        name: "User",
        table: "users",
        schema: None,
        columns: &[
            column("id", "bigint", true),
            column("name", "text", false),
            ColumnDefinition { nullable: true, ..column("email", "text", false) },
        ],
        indexes: &[],
        relations: &[],
    };

    fn from_row(row: &Row, first: usize) -> Result<Self, Error> {
        Ok(Self { id: row.try_get(first)?, name: row.try_get(first + 1)?, email: row.try_get(first + 2)? })
    }

    fn values(&self) -> Vec<Parameter<'_>> {
        vec![&self.id, &self.name, &self.email]
    }

    fn key(&self) -> i64 {
        self.id
    }

    fn is_new(&self) -> bool {
        false
    }
}
