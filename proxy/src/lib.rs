//! pgstrata: a tenant-routing PostgreSQL proxy.
//!
//! # Layout
//! - [`config`]: the configuration file as types.
//! - [`sql`]: text -> plan. What a statement needs to reach its tenant. No I/O.
//! - [`catalog`]: what the database holds: relations and functions of a schema.

pub mod catalog;
pub mod config;
pub mod sql;
