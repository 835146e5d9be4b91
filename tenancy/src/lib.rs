//! What a tenant is, and how SQL reaches its schema. No I/O in here.
//!
//! # Layout
//! - [`tenant`]: [`TenantId`], a checked tenant name.
//! - [`ident`]: identifiers quoted as PostgreSQL quotes them.
//! - [`layers`]: metadata in layers, a public one and the tenants' own.
//! - [`lexer`]: SQL as PostgreSQL's scanner sees it.
//! - [`pattern`]: names with `*` in them.
//! - [`strategy`]: [`Strategy`], the two ways to a tenant's schema.
//! - [`tier`]: [`Tier`], how tenants are kept apart; [`role`]: the role that this takes.

pub mod ident;
pub mod layers;
pub mod lexer;
pub mod pattern;
pub mod role;
pub mod strategy;
pub mod tenant;
pub mod tier;

pub use layers::LayeredMetadataStore;
pub use pattern::Pattern;
pub use role::{RoleName, RoleNameError};
pub use strategy::Strategy;
pub use tenant::{TenantId, TenantIdError};
pub use tier::Tier;
