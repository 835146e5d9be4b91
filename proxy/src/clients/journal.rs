//! Log lines for logins and disconnections, if the configuration enables them.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use super::counts::Counts;
use super::slot::ClientSlot;
use crate::auth::refusals::short;
use crate::config::Log;

/// The enabled lines.
#[derive(Debug, Default)]
pub struct Journal {
    connections: AtomicBool,
    disconnections: AtomicBool,
}

impl Journal {
    /// Uses the settings of `log` from now on.
    pub fn follow(&self, log: &Log) {
        self.connections.store(log.log_connections, Ordering::Relaxed);
        self.disconnections.store(log.log_disconnections, Ordering::Relaxed);
    }

    /// A client has logged in.
    pub(super) fn connected(&self, slot: &ClientSlot) {
        if !self.connections.load(Ordering::Relaxed) {
            return;
        }
        let (who, place) = (&slot.who, slot.place());
        tracing::info!(
            peer = %who.peer,
            user = who.user.name,
            database = &*who.database,
            tenant = place.tenant.as_deref(),
            tls = who.tls.as_deref(),
            application_name = short(&who.application),
            "connection authorized"
        );
    }

    /// A client has disconnected.
    pub(super) fn disconnected(&self, slot: &ClientSlot) {
        if !self.disconnections.load(Ordering::Relaxed) {
            return;
        }
        let (who, place, sums) = (&slot.who, slot.place(), slot.counts.sums());
        let time = SystemTime::now().duration_since(slot.connected_at()).unwrap_or_default();
        tracing::info!(
            peer = %who.peer,
            user = who.user.name,
            database = &*who.database,
            tenant = place.tenant.as_deref(),
            tls = who.tls.as_deref(),
            session_time = format_args!("{:.3}", time.as_secs_f64()),
            bytes_received = sums.of(Counts::RECEIVED),
            bytes_sent = sums.of(Counts::SENT),
            "disconnection"
        );
    }
}
