//! Hand-back: a server is reset before it is idle, if the client leaves state that acts on an idle server.
//!
//! If a request is certainly the last one of its transaction, the reset is sent with the request. Otherwise it is sent
//! when PostgreSQL has answered. The client waits for neither.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio::time::timeout;

use super::expect::Expect;
use super::link::Link;
use super::{End, Session, Status};
use crate::metrics::Metrics;
use crate::pool::restore::{CLEAN_LIMIT, Dirt};
use crate::pool::server::User;
use crate::pool::settings::Tracked;
use crate::simulation::{Fault, fault};
use crate::sql::plan::{Plan, StatementKind};

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Whether no transaction is open behind the `Query` of this plan, unless PostgreSQL does not run it.
    pub(super) fn ends_with(&self, plan: &Plan) -> bool {
        let goes_on = |kind: &StatementKind| match kind {
            StatementKind::Begin | StatementKind::CopyIn => true,
            StatementKind::Commit { chain } | StatementKind::Rollback { chain } => *chain,
            _ => false,
        };
        let ends = |kind: &StatementKind| {
            matches!(kind, StatementKind::Commit { .. } | StatementKind::Rollback { .. }) && !goes_on(kind)
        };
        match (self.status, &plan.statements[..]) {
            (Status::Idle, all) => !self.is_in_a_pipeline() && !all.iter().any(|one| goes_on(&one.kind)),
            (_, [only]) => !self.has_sent() && ends(&only.kind),
            _ => false,
        }
    }

    /// Whether no transaction is open behind the `Sync` at hand.
    pub(super) fn ends_with_sync(&self) -> bool {
        let Some(link) = &self.link else { return false };
        let request = &link.request;
        let alone = match self.status {
            Status::Idle => !request.begins,
            // An error of another statement would leave the block open.
            Status::Block | Status::Failed => {
                request.runs == 1 && self.transaction.foreseen() == Some(Status::Idle)
            }
        };
        alone && !request.failed && !request.limited && !link.awaits_copy && !link.copy_in
    }

    /// Records that the last message of a request was written, behind which no transaction is open if it `ends`.
    pub(super) fn clean_behind(&mut self, ends: bool) {
        let free = ends && self.pins.is_empty() && !self.is_draw_due();
        let Some(link) = self.link.as_mut().filter(|link| free && !link.lease.in_doubt) else { return };
        let dirt = link.dirt();
        for _ in 0..link.lease.put_restore(dirt) {
            link.expects.push_back(Expect::Restored);
        }
    }

    /// Waits for the end of a reset, because the client keeps the server. The client's settings are made again.
    ///
    /// If the reset fails, PostgreSQL has not ended the transaction, because a cancel request or a time-out came first.
    /// The client then continues in it, and the server is closed afterwards. The error: server and session end.
    pub(super) async fn await_restored(&mut self) -> Result<(), End> {
        let user = (self.cancel.slot().pid, &self.tenants.now().turn);
        let Some(link) = &mut self.link else { return Ok(()) };
        let due = link.take_restored(user);
        let restored = timeout(CLEAN_LIMIT, link.lease.await_restored(due)).await;
        link.lease.in_doubt |= !matches!(restored, Ok(Ok(true)));
        self.clock.see(Instant::now());
        if matches!(restored, Ok(Ok(_))) {
            return Ok(());
        }
        // The answers of the reset do not reach the client.
        link.lease.inbuf.clear();
        self.server_gone()
    }
}

impl Link {
    /// The client's state that acts on an idle server.
    fn dirt(&self) -> Dirt {
        match (self.opaque, self.settings.current().may_rest()) {
            _ if fault(Fault::LeftDirty) => Dirt::None,
            (true, _) => Dirt::Unknown,
            (false, false) => Dirt::Settings,
            (false, true) => Dirt::None,
        }
    }

    /// Whether only the answers of the reset are outstanding.
    pub(super) fn is_being_restored(&self) -> bool {
        self.expects.front().is_some_and(Expect::is_restored)
    }

    /// Records that the server is clean, once this number of answers has arrived.
    fn take_restored(&mut self, user: User<'_>) -> usize {
        let before = self.expects.len();
        while self.is_being_restored() {
            self.expects.pop_front();
        }
        self.note_user(user);
        (self.settings, self.opaque) = (Tracked::default(), false);
        self.setup.set_role(self.resting_role());
        before - self.expects.len()
    }

    /// Records the user of the server if code ran that may have left more than settings.
    fn note_user(&mut self, (client, tenant): User<'_>) {
        if self.opaque {
            self.lease.used_by = Some((client, tenant.clone()));
        }
    }

    /// Returns the server between two transactions; it is reset first if necessary.
    pub(super) fn give_back(mut self: Box<Self>, user: User<'_>, now: Instant, metrics: &Metrics) {
        match self.is_being_restored() {
            true => {
                let due = self.take_restored(user);
                self.lease.give_back_restored(due);
            }
            false => {
                self.note_user(user);
                let dirt = self.dirt();
                if dirt != Dirt::None && !self.lease.in_doubt {
                    metrics.overhead_round_trip();
                }
                self.lease.settings = Arc::clone(self.settings.current());
                self.lease.give_back_clean(dirt, now);
            }
        }
    }
}
