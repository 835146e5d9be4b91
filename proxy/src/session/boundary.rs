//! Only the client determines where a transaction begins and ends: statements that the proxy adds do not change it.
//!
//! Extended messages up to their `Sync` are one implicit transaction. A `Query` in between continues it, and its end
//! then depends on the messages in front: up to version 17 a `Query` commits the transaction; from 18 on one of several
//! statements does, and one of a single statement leaves it open if something ran in front. So a `Query` of the proxy
//! may be in front of a pipeline, and behind messages only that have run nothing.

use tokio::io::{AsyncRead, AsyncWrite};

use super::link::Link;
use super::{Session, Status};
use crate::sql::plan::Plan;

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Whether portals of the client have run in an implicit transaction that is still open.
    pub(super) fn has_open_pipeline(&self) -> bool {
        self.status_then() == Status::Idle && self.link.as_ref().is_some_and(|link| link.request.ran)
    }

    /// Whether the next `Query` belongs to a transaction that no `BEGIN` has opened.
    pub(super) fn is_in_a_pipeline(&self) -> bool {
        let Some(link) = &self.link else { return false };
        link.is_behind() || self.status == Status::Block && !link.explicit
    }

    /// Ends the implicit transaction of messages that have run nothing, so that a plan finds none. PostgreSQL would run
    /// the plan as if there were no such messages, but messages of the proxy among them may have run something.
    ///
    /// `simple`: the plan is of a `Query`, which closes the unnamed portal itself.
    pub(super) fn end_empty_pipeline(&mut self, plan: &Plan, simple: bool) {
        let idle = self.status_then() == Status::Idle;
        let first = simple || self.is_to_be_first(plan);
        let Some(link) = self.link.as_mut().filter(|link| idle && link.is_behind()) else { return };
        let held = if simple { link.request.bound_by_name } else { link.request.bound };
        if link.request.ran || held || !first {
            return;
        }
        link.request.ended = true;
        // Without messages of the proxy in it, any `Query` ends it.
        if std::mem::take(&mut link.request.ran_ours) {
            link.ask("COMMIT");
            link.setup.rest(link.resting_role());
        }
    }
}

impl Link {
    /// Whether messages of the client are in front in the same transaction.
    pub fn is_behind(&self) -> bool {
        self.request.sent && !self.request.ended
    }
}
