//! Why a client keeps its server, and how that ends: the proxy asks PostgreSQL whether the state still exists.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncWrite};

use super::expect::Expect;
use super::link::Link;
use super::{Session, Status};
use crate::metrics::Metrics;
use crate::pool::servers::Lease;
use crate::simulation::{Fault, fault};
use crate::sql::plan::{PinReason, Plan, Refusal, Statement, StatementKind};

/// PostgreSQL refuses another value once a session has used temporary tables, and `DISCARD ALL` does not help.
const TEMP_BUFFERS: &str = "temp_buffers";

/// For each reason, a query that returns a row if the session has such state. Each name is qualified, because the path
/// can be any.
const PROBES: [(PinReason, &str); 4] = [
    (
        PinReason::TempTable,
        "SELECT FROM pg_catalog.pg_depend \
         WHERE refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass \
         AND refobjid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema() LIMIT 1;",
    ),
    (PinReason::SqlPrepare, "SELECT FROM pg_catalog.pg_prepared_statements WHERE from_sql LIMIT 1;"),
    (PinReason::HoldCursor, "SELECT FROM pg_catalog.pg_cursors WHERE is_holdable LIMIT 1;"),
    (
        PinReason::AdvisoryLock,
        "SELECT FROM pg_catalog.pg_locks WHERE locktype OPERATOR(pg_catalog.=) 'advisory' \
         AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() LIMIT 1;",
    ),
];

/// Whether state of this kind may include temporary tables.
fn makes_temp(reason: PinReason) -> bool {
    matches!(reason, PinReason::TempTable | PinReason::SessionState)
}

/// The command tag of a query that returned a row.
const FOUND: &[u8] = b"SELECT 1";

/// A set of reasons.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Reasons(u16);

impl Reasons {
    fn bit(reason: PinReason) -> u16 {
        1 << reason as u16
    }

    fn has(self, reason: PinReason) -> bool {
        self.0 & Self::bit(reason) != 0
    }

    fn add(&mut self, reason: PinReason) -> bool {
        let new = !self.has(reason);
        self.0 |= Self::bit(reason);
        new
    }

    fn remove(&mut self, reason: PinReason) -> bool {
        let was = self.has(reason);
        self.0 &= !Self::bit(reason);
        was
    }

    fn without(mut self, reason: PinReason) -> Self {
        self.remove(reason);
        self
    }
}

/// The pins of one client.
pub(super) struct Pins {
    reasons: Reasons,
    /// Some of the reasons may be over.
    doubtful: bool,
    /// Increases with each added reason.
    epoch: u64,
    /// The client may have created temporary tables at some time.
    made_temp: bool,
    metrics: Arc<Metrics>,
    /// The number of pinned clients of the database.
    all: Arc<AtomicUsize>,
}

impl Pins {
    /// No pins. `all` is the number of pinned clients of a database.
    pub fn new(metrics: Arc<Metrics>, all: Arc<AtomicUsize>) -> Self {
        Self { reasons: Reasons::default(), doubtful: false, epoch: 0, made_temp: false, metrics, all }
    }

    /// Whether there is no reason, session pooling included.
    pub fn is_empty(&self) -> bool {
        self.reasons == Reasons::default()
    }

    /// One bit for each reason.
    pub fn bits(&self) -> u16 {
        self.reasons.0
    }

    /// Whether the client has this reason.
    pub fn has(&self, reason: PinReason) -> bool {
        self.reasons.has(reason)
    }

    /// Whether the client has state on its server, whatever the pool mode.
    pub fn has_state(&self) -> bool {
        self.reasons.without(PinReason::SessionPooling) != Reasons::default()
    }

    /// Whether the client may have temporary tables.
    pub fn may_have_temp(&self) -> bool {
        [PinReason::TempTable, PinReason::SessionState, PinReason::SessionPooling]
            .into_iter()
            .any(|reason| self.has(reason))
    }

    /// Adds a reason.
    pub fn add(&mut self, reason: PinReason) {
        self.epoch += 1;
        self.made_temp |= makes_temp(reason);
        self.doubtful |= PROBES.iter().any(|(probed, _)| *probed == reason);
        let had_state = self.has_state();
        if self.reasons.add(reason) && reason != PinReason::SessionPooling {
            self.metrics.pinned(reason.as_str());
            if !had_state {
                self.all.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Removes a reason.
    pub fn remove(&mut self, reason: PinReason) {
        if self.reasons.remove(reason) && reason != PinReason::SessionPooling {
            self.metrics.unpinned(reason.as_str());
            if !self.has_state() {
                self.all.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    /// Removes all reasons except session pooling.
    pub fn clear(&mut self) {
        for reason in PinReason::ALL.into_iter().filter(|reason| *reason != PinReason::SessionPooling) {
            self.remove(reason);
        }
    }

    /// Records that some of the reasons may be over.
    pub fn doubt(&mut self) {
        self.doubtful = true;
    }

    /// The query that finds out which reasons are over, if there is one to send.
    fn question(&mut self) -> Option<(Probe, String)> {
        if !std::mem::take(&mut self.doubtful) {
            return None;
        }
        let asked: Vec<_> = PROBES.iter().filter(|(reason, _)| self.has(*reason)).collect();
        let reasons = asked.iter().map(|(reason, _)| *reason).collect();
        let sql: String = asked.iter().map(|(_, sql)| *sql).collect();
        (!asked.is_empty()).then_some((Probe { reasons, next: 0, over: Vec::new(), epoch: self.epoch }, sql))
    }

    /// Applies PostgreSQL's answer.
    pub fn settle(&mut self, probe: &Probe) {
        // The answer does not cover reasons that were added later.
        if probe.epoch == self.epoch {
            probe.over.iter().for_each(|reason| self.remove(*reason));
        }
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        self.clear();
    }
}

/// A query in progress: which of these reasons still hold.
#[derive(Debug)]
pub struct Probe {
    reasons: Vec<PinReason>,
    /// The reason that the next answer is about.
    next: usize,
    over: Vec<PinReason>,
    epoch: u64,
}

impl Probe {
    /// Processes the next `CommandComplete`.
    pub fn complete(&mut self, tag: &[u8]) {
        if let Some(reason) = self.reasons.get(self.next).filter(|_| tag != FOUND) {
            self.over.push(*reason);
        }
        self.next += 1;
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Pins the client to its server.
    pub(super) fn pin(&mut self, reason: PinReason) {
        if fault(Fault::PinForgotten) {
            return;
        }
        self.pins.add(reason);
        if let Some(link) = self.link.as_mut().filter(|_| makes_temp(reason)) {
            link.lease.had_temp = true;
        }
    }

    /// Closes a server whose earlier clients had temporary tables, if the plan shows it; the client then gets another
    /// server. A statement of SQL `PREPARE` would not be checked again there when the client creates a temporary
    /// table, and `temp_buffers` cannot be set.
    pub(super) fn drops_stale_server(&mut self, plan: &Plan) -> bool {
        let shows_it = |s: &Statement| {
            let sets_buffers = matches!(&s.kind, StatementKind::Set(set) if *set.name == *TEMP_BUFFERS);
            sets_buffers || s.pin == Some(PinReason::SqlPrepare)
        };
        let shown = plan.statements.iter().any(shows_it);
        let fresh =
            !self.pins.made_temp && self.status == Status::Idle && self.pins.is_empty() && !self.has_sent();
        let ours = |expect: &Expect| matches!(expect, Expect::OwnQuery);
        let stale = |link: &mut Box<Link>| fresh && link.lease.had_temp && link.expects.iter().all(ours);
        let Some(link) = self.link.take_if(|link| shown && stale(link)) else { return false };
        self.let_go();
        self.head.want_server_for(self.tenants.now());
        link.discard();
        true
    }

    /// Whether PostgreSQL would refuse the client's `temp_buffers` on this server, as temporary tables were used there.
    pub(super) fn has_other_buffers(&self, lease: &Lease) -> bool {
        lease.had_temp && self.settings.current().get(TEMP_BUFFERS) != lease.settings.get(TEMP_BUFFERS)
    }

    /// Asks the server, between two requests, which state of the client still exists.
    pub(super) fn probe_pins(&mut self) {
        if self.status != Status::Idle {
            return;
        }
        let Some(link) = self.link.as_mut().filter(|link| !link.lease.in_doubt) else { return };
        let Some((probe, sql)) = self.pins.question() else { return };
        self.shared.metrics.overhead_round_trip();
        link.lease.query(&[sql.as_bytes()]);
        link.expects.push_back(Expect::Probe(probe));
    }

    /// The answer is complete.
    pub(super) fn pins_probed(&mut self, probe: &Probe) {
        self.pins.settle(probe);
        self.entry.set_pins(self.pins.bits());
        self.sql_writes &= self.pins.has(PinReason::SqlPrepare);
    }

    /// The refusal of a plan that would pin a client above the limit.
    pub(super) fn refuses_pin(&self, plan: &Plan) -> Option<Refusal> {
        let limit = self.config.pool.max_pinned;
        if limit == 0 {
            return None;
        }
        let reason = plan.statements.iter().find_map(|statement| statement.pin)?;
        if self.pins.has_state() || !self.identity.database.is_pinned_out(limit) {
            return None;
        }
        Some(Refusal {
            code: "53400",
            message: format!("too many clients are pinned to a server (pool.max_pinned is {limit})"),
            hint: Some(format!("This statement would pin one more, for its {}.", reason.in_words())),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pins() -> (Pins, Arc<AtomicUsize>) {
        let all = Arc::<AtomicUsize>::default();
        (Pins::new(Arc::new(Metrics::new(0)), Arc::clone(&all)), all)
    }

    #[test]
    fn what_the_server_no_longer_has_ties_no_more() {
        let (mut pins, all) = pins();
        pins.add(PinReason::TempTable);
        pins.add(PinReason::HoldCursor);
        assert_eq!(all.load(Ordering::Relaxed), 1);
        let (mut probe, _) = pins.question().unwrap();
        probe.complete(b"SELECT 1");
        probe.complete(b"SELECT 0");
        pins.settle(&probe);
        assert!(pins.has(PinReason::TempTable) && !pins.has(PinReason::HoldCursor));
        assert!(pins.question().is_none(), "nothing has happened since");
        drop(pins);
        assert_eq!(all.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn answer_of_before_says_nothing_of_what_came_after() {
        let (mut pins, _) = pins();
        pins.add(PinReason::TempTable);
        let (mut probe, _) = pins.question().unwrap();
        probe.complete(b"SELECT 0");
        pins.add(PinReason::TempTable);
        pins.settle(&probe);
        assert!(pins.has(PinReason::TempTable));
        assert!(pins.question().is_some());
    }

    #[test]
    fn session_pooling_is_no_state_and_stays() {
        let (mut pins, all) = pins();
        pins.add(PinReason::SessionPooling);
        assert!(!pins.is_empty() && !pins.has_state());
        pins.clear();
        assert!(pins.has(PinReason::SessionPooling));
        assert_eq!(all.load(Ordering::Relaxed), 0);
    }
}
