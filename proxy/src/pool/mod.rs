//! Servers: connections to PostgreSQL.
//!
//! # Layout
//! - [`target`]: where to, and the socket.
//! - [`tls`]: how strictly the server's certificate is looked at.
//! - [`connect`]: a socket becomes a server that is ready for queries.
//! - [`login`]: the proof of who we are.
//! - [`server`]: such a connection, and what is known of its session.
//! - [`servers`]: the pool of them; [`fair`]: how it lends, [`turns`]: in which order; [`share`]: how many to one tenant; [`backoff`]: what it does when none can be had.
//! - [`roster`]: who is there, and who is to be replaced.
//! - [`tenants`]: pools of tenants that log in by themselves.
//! - [`settings`]: session settings, tracked and replayed; [`parameters`]: what is known of them.
//! - [`restore`]: a server becomes clean before it is idle.
//! - [`cancel`]: the query of a server is cancelled.

pub mod backoff;
pub mod birth;
pub mod cancel;
pub mod connect;
pub mod fair;
pub mod login;
pub mod parameters;
pub mod restore;
pub mod roster;
pub mod server;
pub mod servers;
pub mod settings;
pub mod share;
pub mod target;
pub mod tenants;
pub mod tls;
pub mod turns;
