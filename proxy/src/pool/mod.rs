//! Servers: connections to PostgreSQL.
//!
//! # Layout
//! - [`target`]: where to, and the socket.
//! - [`tls`]: how strictly the server's certificate is looked at.
//! - [`connect`]: a socket becomes a server that is ready for queries.
//! - [`login`]: the proof of who we are.
//! - [`cancel`]: the query of a server is cancelled.

pub mod cancel;
pub mod connect;
pub mod login;
pub mod target;
pub mod tls;
