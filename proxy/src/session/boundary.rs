//! Where a transaction begins and ends is the client's to say: nothing that is put in changes it.
//!
//! Extended messages up to their `Sync` are one implicit transaction. A `Query` in between goes on with it, and
//! how PostgreSQL ends it then hangs on what ran before: up to version 17 a `Query` commits it, from 18 on one of
//! several statements does, and one of a single statement leaves it open if something ran in front. So a `Query` of ours
//! may stand in front of a pipeline, and behind messages only that have run nothing.

use tokio::io::{AsyncRead, AsyncWrite};

use super::link::Link;
use super::{Session, Status};
use crate::sql::plan::Plan;

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Whether portals of the client's have run in an implicit transaction that is still open.
    pub(super) fn has_open_pipeline(&self) -> bool {
        self.status_then() == Status::Idle && self.link.as_ref().is_some_and(|link| link.request.ran)
    }

    /// Whether the next `Query` is a part of a transaction that no `BEGIN` has begun.
    pub(super) fn is_in_a_pipeline(&self) -> bool {
        let Some(link) = &self.link else { return false };
        link.is_behind() || self.status == Status::Block && !link.explicit
    }

    /// Ends the implicit transaction of messages that have run nothing, so that a plan finds none: PostgreSQL would
    /// run the plan as if they were not there, but messages of ours among them may have run something.
    ///
    /// `simple`: it is the plan of a `Query`, which takes the unnamed portal away by itself.
    pub(super) fn end_empty_pipeline(&mut self, plan: &Plan, simple: bool) {
        let idle = self.status_then() == Status::Idle;
        let first = simple || self.is_to_be_first(plan);
        let Some(link) = self.link.as_mut().filter(|link| idle && link.is_behind()) else { return };
        let held = if simple { link.request.bound_by_name } else { link.request.bound };
        if link.request.ran || held || !first {
            return;
        }
        link.request.ended = true;
        // With nothing of ours in it, any Query ends it.
        if std::mem::take(&mut link.request.ran_ours) {
            link.ask("COMMIT");
            (link.path_set, link.role) = (false, link.resting_role());
        }
    }
}

impl Link {
    /// Whether messages of the client stand in front in the same transaction.
    pub fn is_behind(&self) -> bool {
        self.request.sent && !self.request.ended
    }
}
