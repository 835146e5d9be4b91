//! pgstrata: a tenant-routing PostgreSQL proxy.
//!
//! # Layout
//! - [`config`]: the configuration file as types.
//! - [`wire`]: start-up packets, options, refusals, streams.
//! - [`auth`]: who a client is, and which tenant it may work for.
//! - [`pool`]: connections to PostgreSQL.
//! - [`logging`]: logs, to stderr.
//! - [`sql`]: text -> plan. What a statement needs to reach its tenant. No I/O.
//! - [`catalog`]: what the database holds: relations and functions of a schema.

pub mod auth;
pub mod catalog;
pub mod config;
pub mod logging;
pub mod pool;
pub mod sql;
pub mod wire;
