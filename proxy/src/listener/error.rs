//! Why there is no socket to listen on.

use std::io;
use std::net::SocketAddr;

use super::Place;
use crate::handover::message::Purpose;

/// Why there is no socket to listen on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// A port is taken, most often.
    #[error("can not listen on {place} ({key}): {source}")]
    Listen {
        /// Where.
        place: Place,
        /// The configuration's key.
        key: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// The process before holds the port, for another address or another purpose. Clients may wait in its socket.
    #[error(
        "can not listen on {place} ({key}): the process that this one is to take over from listens on {held} for \
         {purpose}. A hand-over can not change the address of a port: stop that process and start again, or use \
         another port"
    )]
    Held {
        /// Where.
        place: Place,
        /// The configuration's key.
        key: &'static str,
        /// Where the process before listens.
        held: SocketAddr,
        /// What for.
        purpose: Purpose,
    },
}
