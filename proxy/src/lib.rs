//! pgstrata: a tenant-routing PostgreSQL proxy.
//!
//! # Layout
//! - [`config`]: the configuration file as types.
//! - [`wire`]: start-up packets, options, refusals, streams.
//! - [`auth`]: who a client is, and which tenant it may work for.
//! - [`pool`]: connections to PostgreSQL.
//! - [`sql`]: text -> plan. What a statement needs to reach its tenant. No I/O.
//! - [`catalog`]: what the database holds: relations and functions of a schema.
//! - [`logging`]: logs, to stderr.
//! - [`demo`]: the proxy with a PostgreSQL of its own, to try it out and to test it.

pub mod auth;
pub mod catalog;
pub mod config;
pub mod demo;
pub mod logging;
pub mod pool;
pub mod sql;
mod stub;
pub mod wire;

pub use stub::{ServeError, serve, serve_blocking};
