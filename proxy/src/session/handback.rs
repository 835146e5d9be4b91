//! A server goes back clean: what a client leaves on it that acts at rest is taken off first, behind the client's back.
//!
//! Where it is certain that a request is the last of its transaction, what takes it off goes with the request; else
//! it is sent when PostgreSQL has answered.

use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::expect::Expect;
use super::link::Link;
use super::{Session, Status};
use crate::metrics::Metrics;
use crate::pool::restore::{CLEAN_LIMIT, Dirt};
use crate::pool::server::User;
use crate::pool::settings::Tracked;
use crate::sql::plan::{Plan, StatementKind};

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Whether no transaction is open behind the `Query` of this plan, whatever becomes of it.
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

    /// Whether none is behind the `Sync` that comes now.
    pub(super) fn ends_with_sync(&self) -> bool {
        let Some(link) = &self.link else { return false };
        let request = &link.request;
        let alone = match self.status {
            Status::Idle => !request.begins,
            // An error of another statement would leave the block open.
            Status::Block | Status::Failed => request.runs == 1 && self.foreseen == Some(Status::Idle),
        };
        alone && !request.failed && !request.limited && !link.awaits_copy && !link.copy_in
    }

    /// The last message of a request was written, behind which no transaction is open if it `ends`.
    pub(super) fn clean_behind(&mut self, ends: bool) {
        let free = ends && self.pins.is_empty();
        let Some(link) = self.link.as_mut().filter(|link| free && !link.lease.in_doubt) else { return };
        let dirt = link.dirt();
        for _ in 0..link.lease.put_restore(dirt) {
            link.expects.push_back(Expect::Restored);
        }
    }

    /// The server stays, and it was being restored: waits for that. What the client has set is set anew.
    pub(super) async fn await_restored(&mut self) {
        let user = (self.cancel.slot().pid, &self.tenants.now().turn);
        let Some(link) = &mut self.link else { return };
        let due = link.take_restored(user);
        let restored = timeout(CLEAN_LIMIT, link.lease.await_restored(due)).await;
        link.lease.in_doubt |= !matches!(restored, Ok(Ok(())));
        self.clock.see(Instant::now());
    }
}

impl Link {
    /// What of the client's acts on a server at rest.
    fn dirt(&self) -> Dirt {
        match (self.opaque, self.settings.current().may_rest()) {
            (true, _) => Dirt::Unknown,
            (false, false) => Dirt::Settings,
            (false, true) => Dirt::None,
        }
    }

    /// Whether PostgreSQL has answered all but what takes off what the client leaves.
    pub(super) fn is_being_restored(&self) -> bool {
        self.expects.front().is_some_and(Expect::is_restored)
    }

    /// Nothing that acts is left on the server, once so many answers have come.
    fn take_restored(&mut self, user: User<'_>) -> usize {
        let before = self.expects.len();
        while self.is_being_restored() {
            self.expects.pop_front();
        }
        self.note_user(user);
        (self.settings, self.opaque) = (Tracked::default(), false);
        self.role = self.resting_role();
        before - self.expects.len()
    }

    /// Where code ran that may have left more than settings, it is known whose that was.
    fn note_user(&mut self, (client, tenant): User<'_>) {
        if self.opaque {
            self.lease.used_by = Some((client, tenant.clone()));
        }
    }

    /// Puts the server back, between two transactions; what acts at rest is taken off it first.
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
