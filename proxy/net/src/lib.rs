//! Connections, as all that needs one has them.
//!
//! # Layout
//! - [`socket`]: a client's socket, and where the client comes from.
//! - [`stream`]: the sockets at both ends, with and without TLS, as one type each.
//! - [`tls`]: TLS to PostgreSQL: how strictly the server's certificate is looked at.
//! - [`backoff`]: the pause between two attempts to connect.

#![warn(unreachable_pub)]

pub mod backoff;
pub mod socket;
pub mod stream;
pub mod tls;
