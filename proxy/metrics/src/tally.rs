//! What is counted of one tenant. A session has it at hand: counting is a few additions, and no look-up.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::histogram::{Durations, nanoseconds, seconds};
use super::text::{Page, Type};
use super::{Kind, Served, class_of};

/// The classes of errors that are counted by themselves, those of a tenant's own making; the rest is `other`.
const CLASSES: [&str; 8] = ["08", "22", "23", "25", "40", "42", "53", "57"];

/// What so many sums are kept of, for the tenants with the most traffic and for the rest.
pub(super) const SUMS: usize = 11;

/// Sums, as [`Tally::sums`] gives them.
pub(super) type Sums = [u64; SUMS];

/// What was counted of one tenant since its first client. Times are in nanoseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct TenantSums {
    /// Requests that PostgreSQL has answered.
    pub requests: u64,
    /// Waits on PostgreSQL for them.
    pub round_trips: u64,
    /// Waits that were spared.
    pub saved: u64,
    /// Errors that its clients were sent.
    pub errors: u64,
    /// Statements that the guard refused.
    pub refused: u64,
    /// PostgreSQL's time.
    pub query: u64,
    /// 99 of 100 requests took no longer, up to the next bound of the histogram.
    pub p99: u64,
    /// How long its clients waited for a server.
    pub wait: u64,
    /// Bytes that PostgreSQL sent.
    pub received: u64,
    /// Bytes that PostgreSQL was sent.
    pub sent: u64,
}

impl TenantSums {
    pub(super) fn of(tally: &Tally) -> Self {
        let [requests, round_trips, saved, errors, refused, query, wait, _own, received, sent, _] =
            tally.sums();
        let p99 = if requests > 0 { tally.query.quantile(99, 100) } else { 0 };
        Self { requests, round_trips, saved, errors, refused, query, p99, wait, received, sent }
    }
}

/// How one of the sums is told.
pub(super) struct Family {
    pub name: &'static str,
    pub help: &'static str,
    /// It is a sum of nanoseconds.
    pub is_time: bool,
}

/// The sums in their order.
pub(super) const FAMILIES: [Family; SUMS] = [
    count("pgstrata_tenant_requests_total", "Requests that PostgreSQL has answered, by tenant."),
    count("pgstrata_tenant_round_trips_total", "Waits on PostgreSQL for them, by tenant."),
    count("pgstrata_tenant_saved_round_trips_total", "Waits that were spared, by tenant."),
    count("pgstrata_tenant_errors_total", "Errors sent to clients, by tenant."),
    count("pgstrata_tenant_statements_refused_total", "Statements that the guard refused, by tenant."),
    time("pgstrata_tenant_query_seconds_total", "PostgreSQL's time for requests, by tenant."),
    time("pgstrata_tenant_server_wait_seconds_total", "How long clients waited for a server, by tenant."),
    time("pgstrata_tenant_proxy_seconds_total", "The proxy's own time for requests, by tenant."),
    count("pgstrata_tenant_received_bytes_total", "Bytes that PostgreSQL sent for requests, by tenant."),
    count("pgstrata_tenant_sent_bytes_total", "Bytes that PostgreSQL was sent for requests, by tenant."),
    count("pgstrata_tenant_limited_total", "Logins and requests that a limit held up, by tenant."),
];

const fn count(name: &'static str, help: &'static str) -> Family {
    Family { name, help, is_time: false }
}

const fn time(name: &'static str, help: &'static str) -> Family {
    Family { name, help, is_time: true }
}

/// One tenant's counts, since its first client.
#[derive(Debug, Default)]
pub struct Tally {
    requests: [AtomicU64; Kind::ALL.len()],
    round_trips: AtomicU64,
    saved: AtomicU64,
    /// By class; the last is all others.
    errors: [AtomicU64; CLASSES.len() + 1],
    refused: AtomicU64,
    query: Durations,
    wait: Durations,
    own: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    limited: AtomicU64,
    clients: AtomicU64,
}

fn add(counter: &AtomicU64, count: u64) {
    counter.fetch_add(count, Ordering::Relaxed);
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Tally {
    pub(super) fn request(&self, served: &Served) {
        if let Some(counter) = self.requests.get(served.kind.place()) {
            add(counter, 1);
        }
        add(&self.round_trips, served.round_trips);
        if served.saved() > 0 {
            add(&self.saved, served.saved());
        }
        self.query.record(served.query);
        add(&self.own, nanoseconds(served.own));
        add(&self.received, served.received);
        add(&self.sent, served.sent);
    }

    /// One of its clients got a server after so long, or none.
    pub fn waited(&self, took: Duration) {
        self.wait.record(took);
    }

    /// One of its clients was sent an error with this SQLSTATE.
    pub fn error(&self, sqlstate: &[u8]) {
        let class = class_of(sqlstate);
        let place = CLASSES.iter().position(|known| *known == class).unwrap_or(CLASSES.len());
        if let Some(counter) = self.errors.get(place) {
            add(counter, 1);
        }
    }

    /// A limit held one of its clients up.
    pub fn limited(&self) {
        add(&self.limited, 1);
    }

    /// The guard refused a statement of one of its clients.
    pub fn guarded(&self) {
        add(&self.refused, 1);
    }

    pub(super) fn clients(&self) -> u64 {
        read(&self.clients)
    }

    /// In the order of [`FAMILIES`].
    pub(super) fn sums(&self) -> Sums {
        [
            self.requests.iter().map(read).sum(),
            read(&self.round_trips),
            read(&self.saved),
            self.errors.iter().map(read).sum(),
            read(&self.refused),
            self.query.sum(),
            self.wait.sum(),
            read(&self.own),
            read(&self.received),
            read(&self.sent),
            read(&self.limited),
        ]
    }
}

/// All that is known of one tenant: of each database that has one of this name.
pub(super) fn render_detail(page: &mut Page, tenant: &str, tallies: &[(&str, &Tally)]) {
    let labels = |database| [("database", database), ("tenant", tenant)];
    let more = |database, label, value| [("database", database), ("tenant", tenant), (label, value)];
    for (place, family) in FAMILIES.iter().enumerate() {
        page.family(family.name, Type::Counter, family.help);
        for &(database, tally) in tallies {
            match family.name {
                "pgstrata_tenant_requests_total" => {
                    for (kind, counter) in Kind::ALL.iter().zip(&tally.requests) {
                        page.sample(family.name, &more(database, "kind", kind.as_str()), read(counter));
                    }
                }
                "pgstrata_tenant_errors_total" => {
                    let classes = CLASSES.iter().chain([&"other"]);
                    for (class, counter) in classes.zip(&tally.errors) {
                        page.sample(family.name, &more(database, "class", class), read(counter));
                    }
                }
                _ => put(page, family, &labels(database), tally.sums().get(place).copied()),
            }
        }
    }
    page.family(CLIENTS, Type::Gauge, CLIENTS_HELP);
    for &(database, tally) in tallies {
        page.sample(CLIENTS, &labels(database), tally.clients());
    }
    let mut histogram = |name, help, of: fn(&Tally) -> &Durations| {
        page.family(name, Type::Histogram, help);
        for &(database, tally) in tallies {
            of(tally).render(page, name, &labels(database));
        }
    };
    histogram("pgstrata_tenant_query_seconds", "PostgreSQL's time for one request.", |tally| &tally.query);
    histogram("pgstrata_tenant_server_wait_seconds", "How long clients waited for a server.", |tally| {
        &tally.wait
    });
}

pub(super) const CLIENTS: &str = "pgstrata_tenant_clients";
pub(super) const CLIENTS_HELP: &str = "Clients that are logged in, by the tenant of their login.";

/// One of the sums.
pub(super) fn put(page: &mut Page, family: &Family, labels: &[(&str, &str)], sum: Option<u64>) {
    let sum = sum.unwrap_or_default();
    match family.is_time {
        true => page.sample(family.name, labels, seconds(sum)),
        false => page.sample(family.name, labels, sum),
    }
}

/// A client of the tenant, counted until this is dropped.
#[derive(Debug)]
pub struct Client(Arc<Tally>);

impl Client {
    /// It has logged in.
    pub fn new(tally: &Arc<Tally>) -> Self {
        add(&tally.clients, 1);
        Self(Arc::clone(tally))
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Ordering::Relaxed);
    }
}
