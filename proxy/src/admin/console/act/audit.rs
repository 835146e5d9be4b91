//! The audit line of a command: user, address, text, and result.

use std::time::Instant;

use crate::net::socket::Peer;

/// A command in progress. Its line is written when this value is dropped, in any case.
pub struct Audit<'a> {
    user: &'a str,
    peer: Peer,
    command: &'a str,
    begun: Instant,
    outcome: &'static str,
}

impl<'a> Audit<'a> {
    /// A command of this user from this address, with its text.
    pub fn begin(user: &'a str, peer: Peer, command: &'a str) -> Self {
        // Until the command is complete, its client may have given it up.
        Self { user, peer, command, begun: Instant::now(), outcome: "given up" }
    }

    /// The command succeeded.
    pub fn done(mut self) {
        self.outcome = "done";
    }

    /// The command was refused or failed, with this SQLSTATE.
    pub fn failed(mut self, code: &'static str) {
        self.outcome = code;
    }
}

impl Drop for Audit<'_> {
    fn drop(&mut self) {
        let Self { user, peer, command, outcome, .. } = *self;
        let milliseconds = self.begun.elapsed().as_millis();
        // Quoted: a text of several lines is one line of the log.
        tracing::info!(target: "audit", user, %peer, ?command, outcome, milliseconds, "console command");
    }
}
