//! Tenants, and how SQL reaches their schemas. No I/O.
//!
//! # Layout
//! - [`tenant`]: [`TenantId`], a checked tenant name.
//! - [`comment`]: the comment that says whose a statement is.
//! - [`ident`]: identifiers quoted as PostgreSQL quotes them.
//! - [`keys`]: names and numbers that all schemas of a database share.
//! - [`layers`]: metadata in layers, a public one and the tenants' own.
//! - [`level`]: [`Level`], the kinds of statements that a user may run.
//! - [`lexer`]: SQL as PostgreSQL's scanner sees it.
//! - [`pattern`]: names with `*` in them.
//! - [`schema`]: schemas that cannot be tenants'.
//! - [`strategy`]: [`Strategy`], the two ways to a tenant's schema.
//! - [`tier`]: [`Tier`], how tenants are kept apart; [`role`]: the name of a tenant's role.

pub mod comment;
pub mod ident;
pub mod keys;
pub mod layers;
pub mod level;
pub mod lexer;
pub mod pattern;
pub mod role;
pub mod schema;
pub mod strategy;
pub mod tenant;
pub mod tier;

pub use keys::{KeySpace, KeySpaces};
pub use layers::LayeredMetadataStore;
pub use level::Level;
pub use pattern::Pattern;
pub use role::{RoleName, RoleNameError};
pub use schema::is_system_schema;
pub use strategy::Strategy;
pub use tenant::{TenantId, TenantIdError};
pub use tier::Tier;
