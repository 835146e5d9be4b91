//! A thin ORM for schema-per-tenant PostgreSQL.
//!
//! # Layout
//! - [`entity`]: what a table is, as a Rust type says it.
//! - [`column_type`]: the types that a column can have.

// Derived code names this crate as its users do, also in this crate's own tests.
extern crate self as pgstrata_orm;

pub mod column_type;
pub mod entity;
#[doc(hidden)]
pub mod support;

pub use column_type::{ArrayElement, ColumnType};
pub use entity::Entity;
pub use pgstrata_orm_derive::Entity;
/// The driver, in the version whose types are in this crate's interface.
pub use tokio_postgres;
