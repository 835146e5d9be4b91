//! pgstrata: a tenant-routing PostgreSQL proxy.
//!
//! # Layout
//! - [`config`] (a crate): the configuration file as types.
//! - `wire` (a crate): encoding and decoding of messages.
//! - `net` (a crate): the sockets on both sides ([`stream`]), TLS to PostgreSQL.
//! - [`auth`] (a crate): authentication of clients, and their tenants.
//! - [`pool`] (a crate): connections to PostgreSQL.
//! - `sql` (a crate): from a text to its plan. No I/O.
//! - [`catalog`] (a crate): tenants, and the relations, functions and types of their schemas.
//! - [`channels`]: `LISTEN` for all clients on one connection.
//! - [`session`]: one client: the state machine that connects wire, sql and pool.
//! - [`cancel`]: cancel keys, and what a cancel request stops.
//! - [`clients`]: the connected clients, and their counters.
//! - [`gate`]: whether a database admits clients and gives them servers; [`exit`]: whether the process is to end.
//! - [`limits`] (a crate): budgets of databases, tenants and users.
//! - `judges`: threads that analyse long texts.
//! - [`shared`]: the state that all sessions of a process share.
//! - `search_path`: the text of a search path; `needs`: what a statement needs in front of it.
//! - [`descriptors`]: shares in the limit of file descriptors.
//! - [`serve`](mod@serve): threads, and shutdown; `listener`: accepting connections.
//! - `unix_socket`: the Unix socket for clients.
//! - `follow`: a reload when a file changes.
//! - [`handover`]: a new process takes the place of this one.
//! - [`signals`]: signals of a running proxy; [`reload`]: the command that reloads; [`pid_file`]: how it finds the
//!   process.
//! - [`simulation`] (a crate): the replacements of network, random numbers and catalogs in a simulation; disabled in
//!   every program.
//! - [`admin`]: the console; `/metrics`, `/healthz`, `/readyz`.
//! - `metrics` (a crate), [`logging`]: metrics and log.
//! - [`terminal`]: the output of commands; `error_text`: errors with their sources.
//! - [`observe`]: the log of observe mode.
//! - [`check`]: errors of a configuration.
//! - [`explain`]: the route of a text.
//! - [`selftest`]: attacks on a deployment with two temporary tenants.
//! - [`provision`]: tenants that are created when a client first names them.
//! - [`tenant`]: the commands for tenants.
//! - [`init`]: a configuration for an existing PostgreSQL.
//! - [`install`]: SQL for an administrator.
//! - [`top`]: the activity of tenants in a terminal.
//! - [`health`]: the health check as a command; [`notify`]: notifications to systemd.
//! - [`generate`]: manual pages and completions.
//! - [`demo`]: a temporary PostgreSQL with two tenants.

// The layouts name private modules, too, and are read in the source.
#![allow(rustdoc::private_intra_doc_links)]
// These macros panic if the reader of the output is gone: see `terminal`, and `logging` for a running server.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

pub mod admin;
pub mod cancel;
pub mod channels;
pub mod check;
pub mod clients;
pub mod demo;
pub mod descriptors;
mod error_text;
pub mod exit;
pub mod explain;
mod follow;
pub mod gate;
pub mod generate;
pub mod handover;
pub mod health;
pub mod init;
pub mod install;
mod judges;
#[cfg(test)]
mod layers;
mod listener;
pub mod logging;
mod needs;
pub mod notify;
pub mod observe;
pub mod peers;
pub mod pid_file;
pub mod provision;
pub mod reload;
mod search_path;
pub mod selftest;
pub mod serve;
pub mod session;
pub mod shared;
pub mod signals;
pub mod tenant;
pub mod terminal;
pub mod top;
mod unix_socket;

pub use pgstrata_auth as auth;
pub use pgstrata_catalog as catalog;
pub use pgstrata_config as config;
pub use pgstrata_limits as limits;
pub use pgstrata_metrics as metrics;
use pgstrata_net as net;
pub use pgstrata_net::stream;
pub use pgstrata_pool as pool;
pub use pgstrata_simulation as simulation;
use pgstrata_simulation::chance;
use pgstrata_sql as sql;
use pgstrata_wire as wire;

pub use exit::Stop;
pub use serve::{ServeError, serve, serve_blocking, serve_inheriting, serve_until};
