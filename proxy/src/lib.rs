//! pgstrata: a tenant-routing PostgreSQL proxy.
//!
//! # Layout
//! - [`config`]: the configuration file as types.
//! - [`logging`]: logs, to stderr.
//! - [`sql`]: text -> plan. What a statement needs to reach its tenant. No I/O.
//! - [`catalog`]: what the database holds: relations and functions of a schema.

pub mod catalog;
pub mod config;
pub mod logging;
pub mod sql;
