//! The state of a session, in objects that keep their own invariants.
//!
//! Their fields are private: each is changed by the methods of its object only. No object knows a socket, a server or
//! the session, so each is tested alone.
//!
//! # Layout
//! - [`framing`]: the client's messages in the read buffer.
//! - [`head`]: the message at the head of that buffer, while it waits for something.
//! - [`portals`]: the open portals whose statements have an effect on the session.
//! - [`reported`]: the parameters that were reported to the client.
//! - [`setup`]: the path and the role in force on a server.
//! - [`transaction`]: the open transaction, as confirmed and as predicted.

pub(super) mod framing;
pub(super) mod head;
pub(super) mod portals;
pub(super) mod reported;
pub(super) mod setup;
pub(super) mod transaction;
