//! pgstrata: a tenant-routing PostgreSQL proxy.
//!
//! # Layout
//! - [`config`]: the configuration file as types.
//! - `wire` (a crate): bytes and what they mean: start-up packets, frames, messages.
//! - [`stream`]: the sockets at both ends.
//! - [`auth`]: who a client is, and which tenant it may work for.
//! - [`pool`]: connections to PostgreSQL.
//! - `sql` (a crate): text -> plan. What a statement needs to reach its tenant. No I/O.
//! - [`catalog`]: what the database holds: relations and functions of a schema.
//! - [`channels`]: `LISTEN` for all clients on one connection.
//! - [`session`]: one client: the state machine that joins wire, sql and pool.
//! - [`clients`]: who is there, and what is counted for each.
//! - [`gate`]: whether a database takes clients and lends servers; [`exit`]: whether the process is to end.
//! - `judges`: threads for texts that are long.
//! - [`shared`]: what all sessions of a process share.
//! - [`descriptors`]: who may have how many of them.
//! - [`serve`](mod@serve): threads, and the way out; `listener`: the way in.
//! - [`signals`]: what ends it, and has it read its configuration again, from outside; [`reload`]: a command that
//!   does; [`pid_file`]: how that finds it.
//! - [`admin`]: the console; `/metrics`, `/healthz`, `/readyz`.
//! - [`metrics`], [`logging`]: what can be seen from outside.
//! - [`terminal`]: what commands print.
//! - [`observe`]: what would become of texts, where nothing is routed yet.
//! - [`check`]: what is wrong with a configuration.
//! - [`explain`]: which way a text would go, for people.
//! - [`selftest`]: a deployment attacked with two throw-away tenants.
//! - [`provision`]: tenants that are made when a client first names them.
//! - [`tenant`]: tenants' life from the command line.
//! - [`init`]: a configuration for a PostgreSQL that is there.
//! - [`health`]: a running proxy asked how it is; [`notify`]: what systemd is told of it.
//! - [`generate`]: manual pages and completions.
//! - [`demo`]: a PostgreSQL of its own with two tenants, to try it on.

// Layouts name all parts of a module, and are read where the code is.
#![allow(rustdoc::private_intra_doc_links)]
// Those macros panic where nobody reads: see `terminal`, and `logging` for a running server.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

pub mod admin;
pub mod auth;
pub mod catalog;
pub mod channels;
pub mod check;
pub mod clients;
pub mod config;
pub mod demo;
pub mod descriptors;
pub mod exit;
pub mod explain;
pub mod gate;
pub mod generate;
pub mod health;
pub mod init;
mod judges;
mod listener;
pub mod logging;
pub mod metrics;
pub mod notify;
pub mod observe;
pub mod pid_file;
pub mod pool;
pub mod provision;
pub mod reload;
pub mod selftest;
pub mod serve;
pub mod session;
pub mod shared;
pub mod signals;
pub mod stream;
pub mod tenant;
pub mod terminal;

use pgstrata_sql as sql;
use pgstrata_wire as wire;

pub use exit::Stop;
pub use serve::{ServeError, serve, serve_blocking, serve_until};
