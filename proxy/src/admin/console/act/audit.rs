//! The audit line: who did what, from where, and what became of it.

use std::net::SocketAddr;
use std::time::Instant;

/// Something that is being done. Its line is written when this is dropped, whatever happens.
pub struct Audit<'a> {
    user: &'a str,
    peer: SocketAddr,
    command: &'a str,
    begun: Instant,
    outcome: &'static str,
}

impl<'a> Audit<'a> {
    /// A user, from there, has asked for it: the text as it came.
    pub fn begin(user: &'a str, peer: SocketAddr, command: &'a str) -> Self {
        // Until it is known to be done, whoever asked may have given it up.
        Self { user, peer, command, begun: Instant::now(), outcome: "given up" }
    }

    /// It is done.
    pub fn done(mut self) {
        self.outcome = "done";
    }

    /// It was refused, or failed, with this SQLSTATE.
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
