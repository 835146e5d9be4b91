//! How an opening can end without a session.

use std::io;

use crate::wire::refusal::{Refusal, sqlstate};

/// Why a client did not get in. It has been told, where there was a way to.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// It left by itself: a health check, or psql going to ask for the password.
    #[error("the client closed the connection")]
    Closed,
    /// The socket failed.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// No TLS came about.
    #[error("the TLS handshake failed: {0}")]
    Tls(#[source] io::Error),
    /// It was turned away.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

pub(crate) fn violation(message: impl Into<String>) -> OpenError {
    Refusal::new(sqlstate::PROTOCOL_VIOLATION, message).into()
}
