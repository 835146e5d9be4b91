//! The proxy's own time for a request: from the client's last bytes until PostgreSQL gets its first, and from
//! PostgreSQL's last bytes until the end of the request, without any waits.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::{Session, Status};
use crate::clients::counts::Counts;
use crate::metrics::tally::Tally;
use crate::metrics::{Kind, Naive, Served};
use crate::sql::plan::{PinReason, Plan, StatementKind};

/// The time that the proxy has spent on the request at hand.
pub(super) struct Clock {
    /// The time since when it is working.
    since: Option<Instant>,
    /// The working time before that.
    own: Duration,
    latest: Instant,
}

impl Clock {
    /// A stopped clock.
    pub fn new() -> Self {
        Self { since: None, own: Duration::ZERO, latest: Instant::now() }
    }

    /// Starts the clock: the client's bytes have arrived, or a wait is over.
    pub fn start(&mut self, now: Instant) {
        self.since = Some(now);
        self.latest = now;
    }

    /// Excludes a wait that lasted until now.
    pub fn see(&mut self, now: Instant) {
        self.latest = now;
    }

    /// The time of the last reading. It costs nothing, and is accurate to the milliseconds: every wait is followed by a
    /// reading.
    pub fn latest(&self) -> Instant {
        self.latest
    }

    /// Stops the clock for a wait, and returns the time.
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

    /// The request whose last answer came at `heard` is over, and the next may begin. Returns all working time of the
    /// request.
    fn finish(&mut self, heard: Instant, now: Instant) -> Duration {
        self.start(heard);
        self.stop_at(now);
        self.start(now);
        std::mem::take(&mut self.own)
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Counts an answered request, which leaves the session at `status`.
    pub(super) fn count_request(&mut self, status: Status) {
        let now = Instant::now();
        let Some(link) = &mut self.link else { return };
        let request = &link.request;
        let (Some(begun), Some(heard)) = (request.begun, request.heard_at) else { return };
        let alone = self.status == Status::Idle && !request.begins;
        let naive = match request.kind {
            Kind::Shared => Naive::AsItIs,
            // A session with its own server would set the path once.
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
        self.shared.judges.note_request(self.allowance.claim(), now);
        self.request_ran(false);
    }

    /// Counts a wait for a server, successful or not; `since`: the begin of the wait, if there was one.
    pub(super) fn count_wait(&mut self, since: Option<Instant>) {
        let took = since.map_or(Duration::ZERO, |since| {
            let now = Instant::now();
            self.clock.start(now);
            now.saturating_duration_since(since)
        });
        self.entry.counts.add_time(Counts::WAIT_TIME, took);
        self.accounts.wait(took);
        self.shared.metrics.waited(took);
        if let Some(tally) = self.tally() {
            tally.waited(took);
        }
    }

    /// Counts an error with this SQLSTATE that the client gets.
    pub(super) fn count_error(&self, code: &[u8]) {
        self.shared.metrics.error(code);
        if let Some(tally) = self.tally() {
            tally.error(code);
        }
    }

    /// Counts a statement that the guard refuses.
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

/// Whether a text opens a transaction block.
pub(super) fn begins_block(plan: &Plan) -> bool {
    plan.statements.iter().any(|statement| statement.kind == StatementKind::Begin)
}
