//! What a server's session has drawn from sequences (`lastval()`, `currval()`) is one client's at a time.

use tokio::io::{AsyncRead, AsyncWrite};

use super::{Session, Status};
use crate::sql::plan::Plan;

const FORGET: &str = "DISCARD SEQUENCES";

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// A plan is about to be sent. If it may draw, what others drew on this server is forgotten first, so
    /// that `lastval()` and `currval()` can only tell of this client's own.
    pub(super) fn keep_sequences_apart(&mut self, plan: &Plan) {
        let draws = plan.opaque || plan.statements.iter().any(|s| s.writes || s.draws);
        if !draws || self.status_then() == Status::Failed {
            return;
        }
        let client = (self.cancel.slot().pid, self.changes);
        let Some(link) = &mut self.link else { return };
        if link.lease.drawn_by.replace(client) == Some(client) {
            return;
        }
        if link.is_behind() {
            link.run_behind(FORGET.as_bytes(), self.shared.store.path_name());
        } else {
            link.ask(FORGET);
        }
    }
}
