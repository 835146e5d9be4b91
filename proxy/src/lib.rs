//! pgstrata: a tenant-routing PostgreSQL proxy.
//!
//! # Layout
//! - [`config`]: the configuration file as types.
//! - [`sql`]: text -> plan. What a statement needs to reach its tenant. No I/O.
//! - [`catalog`]: what the database holds: relations and functions of a schema.
//! - [`demo`]: the proxy with a PostgreSQL of its own, to try it out and to test it.

pub mod catalog;
pub mod config;
pub mod demo;
pub mod sql;
mod stub;

pub use stub::{ServeError, serve, serve_blocking};
