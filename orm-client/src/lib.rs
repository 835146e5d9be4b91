//! A thin ORM for schema-per-tenant PostgreSQL.
//!
//! # Layout
//! - [`entity`]: what a table is, as a Rust type says it.

pub mod entity;

pub use entity::Entity;
