//! Whose time a request's time is. The proxy's own is what is left when it waits for nobody: from the bytes
//! of a client's to those that PostgreSQL gets, and from PostgreSQL's last to the end of the request.

use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite};

use super::{Session, Status};
use crate::clients::counts::Counts;
use crate::metrics::tally::Tally;
use crate::metrics::{Kind, Naive, Served};
use crate::sql::plan::{PinReason, Plan, StatementKind};

/// The time that the proxy spends on the request at hand.
pub(super) struct Clock {
    /// It is at work since then.
    since: Option<Instant>,
    /// So long it has been before.
    own: Duration,
    latest: Instant,
}

impl Clock {
    /// Stands still.
    pub fn new() -> Self {
        Self { since: None, own: Duration::ZERO, latest: Instant::now() }
    }

    /// Bytes of the client's are there, or what was waited for is.
    pub fn start(&mut self, now: Instant) {
        self.since = Some(now);
        self.latest = now;
    }

    /// Something else was waited for until now.
    pub fn see(&mut self, now: Instant) {
        self.latest = now;
    }

    /// The time when it was last looked at: good enough where milliseconds count, and free. Whatever waits sees to it
    /// that it is looked at behind the wait.
    pub fn latest(&self) -> Instant {
        self.latest
    }

    /// From now on somebody else is waited for; gives the time.
    pub fn stop(&mut self) -> Instant {
        let now = Instant::now();
        self.stop_at(now);
        now
    }

    fn stop_at(&mut self, now: Instant) {
        self.latest = now;
        if let Some(since) = self.since.take() {
            self.own += now.saturating_duration_since(since);
        }
    }

    /// The request is over that was last `heard` of from PostgreSQL, and the next may begin: all of the time that was
    /// spent on this one.
    fn finish(&mut self, heard: Instant, now: Instant) -> Duration {
        self.start(heard);
        self.stop_at(now);
        self.start(now);
        std::mem::take(&mut self.own)
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Counts a request that is answered, and leaves the session at `status`.
    pub(super) fn count_request(&mut self, status: Status) {
        let now = Instant::now();
        let Some(link) = &mut self.link else { return };
        let request = &link.request;
        let (Some(begun), Some(heard)) = (request.begun, request.heard_at) else { return };
        let alone = self.status == Status::Idle && !request.begins;
        let naive = match request.kind {
            Kind::Shared => Naive::AsItIs,
            // It would set the path once.
            _ if self.pins.has(PinReason::SessionPooling) => Naive::AsItIs,
            _ if alone => Naive::Alone,
            _ if link.has_reached => Naive::AsItIs,
            _ => Naive::FirstInTransaction,
        };
        link.has_reached = status != Status::Idle && (link.has_reached || request.kind != Kind::Shared);
        let own = self.clock.finish(heard, now);
        let served = Served {
            strategy: self.scope.strategy,
            kind: request.kind,
            round_trips: request.round_trips,
            naive,
            query: heard.saturating_duration_since(begun),
            own,
            received: request.received,
            sent: request.written,
        };
        let counts = &self.entry.counts;
        counts.add(Counts::QUERIES, 1);
        counts.add_time(Counts::QUERY_TIME, served.query);
        if status == Status::Idle {
            counts.add(Counts::TRANSACTIONS, 1);
            let lasted = link.in_use_since.map(|since| heard.saturating_duration_since(since));
            counts.add_time(Counts::TRANSACTION_TIME, lasted.unwrap_or_default());
        }
        link.lease.entry.set_prepared(link.lease.prepared.len());
        self.shared.metrics.request(&served, self.tenants.now().tally.as_deref());
    }

    /// A client got a server, or none; `since`: where it had to wait, since when.
    pub(super) fn count_wait(&mut self, since: Option<Instant>) {
        let took = since.map_or(Duration::ZERO, |since| {
            let now = Instant::now();
            self.clock.start(now);
            now.saturating_duration_since(since)
        });
        self.entry.counts.add_time(Counts::WAIT_TIME, took);
        self.shared.metrics.waited(took);
        if let Some(tally) = self.tally() {
            tally.waited(took);
        }
    }

    /// The client is sent an error with this SQLSTATE.
    pub(super) fn count_error(&self, code: &[u8]) {
        self.shared.metrics.error(code);
        if let Some(tally) = self.tally() {
            tally.error(code);
        }
    }

    /// The guard refuses a statement.
    pub(super) fn count_refusal(&self, code: &'static str) {
        self.shared.metrics.guarded(code);
        if let Some(tally) = self.tally() {
            tally.guarded();
        }
    }
}

impl<C> Session<C> {
    fn tally(&self) -> Option<&Tally> {
        self.tenants.now().tally.as_deref()
    }
}

/// Whether a text opens a transaction block of the client's.
pub(super) fn begins_block(plan: &Plan) -> bool {
    plan.statements.iter().any(|statement| statement.kind == StatementKind::Begin)
}
