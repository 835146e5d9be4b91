//! What one database, tenant or user may take, and what it takes now.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use arc_swap::ArcSwap;

use super::rate::Bucket;
use crate::config::{Limit, LimitTable, Rate};

/// A tenant, by its name; `None`: no tenant.
pub type Tenant = Option<Arc<str>>;

/// Whose a budget is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A database's, by its name in the configuration.
    Database(Arc<str>),
    /// A tenant's; `None`: of all clients that have no tenant, taken together.
    Tenant(Tenant),
    /// A user's.
    User(Arc<str>),
}

impl Holder {
    /// What it is, in one word.
    pub fn level(&self) -> &'static str {
        match self {
            Holder::Database(_) => "database",
            Holder::Tenant(_) => "tenant",
            Holder::User(_) => "user",
        }
    }

    /// Its name, if it has one.
    pub fn name(&self) -> Option<&str> {
        match self {
            Holder::Database(name) | Holder::User(name) => Some(name),
            Holder::Tenant(name) => name.as_deref(),
        }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{} \"{name}\"", self.level()),
            None => f.write_str("clients with no tenant"),
        }
    }
}

/// A kind of limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `max_clients`
    Clients,
    /// `max_waiting`
    Waiting,
    /// `max_servers`
    Servers,
    /// `requests_per_second`
    Rate,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Clients, Self::Waiting, Self::Servers, Self::Rate];

    /// The key that sets it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Clients => "max_clients",
            Kind::Waiting => "max_waiting",
            Kind::Servers => "max_servers",
            Kind::Rate => "requests_per_second",
        }
    }
}

/// The budget of one database, tenant or user.
#[derive(Debug)]
pub struct Budget {
    holder: Holder,
    limits: ArcSwap<LimitTable>,
    clients: Gauge,
    waiting: Gauge,
    /// Counted for users; a pool knows what its tenants have.
    servers: Gauge,
    weight: AtomicU32,
    bucket: Bucket,
    /// How often each kind of limit has held somebody up.
    limited: [AtomicU64; Kind::ALL.len()],
}

/// How many there are, and how many there may be.
#[derive(Debug)]
struct Gauge {
    now: AtomicUsize,
    most: AtomicUsize,
}

impl Gauge {
    fn new(limit: Option<&Limit<usize>>) -> Self {
        let gauge = Self { now: AtomicUsize::new(0), most: AtomicUsize::new(0) };
        gauge.set(limit);
        gauge
    }

    fn set(&self, limit: Option<&Limit<usize>>) {
        self.most.store(limit.map_or(usize::MAX, |limit| limit.value), Ordering::Relaxed);
    }

    fn enter(&self) -> bool {
        let entered = self.now.fetch_add(1, Ordering::Relaxed) < self.most.load(Ordering::Relaxed);
        if !entered {
            self.leave();
        }
        entered
    }

    fn leave(&self) {
        self.now.fetch_sub(1, Ordering::Relaxed);
    }

    fn count(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }
}

fn rate(limits: &LimitTable) -> Option<Rate> {
    limits.rate.as_ref().map(|limit| limit.value)
}

fn weight(limits: &LimitTable) -> u32 {
    limits.weight.as_ref().map_or(1, |limit| u32::try_from(limit.value).unwrap_or(u32::MAX))
}

/// A limit that somebody has met.
#[derive(Clone, Debug)]
pub struct Met {
    /// Which one.
    pub kind: Kind,
    /// Whose it is.
    pub holder: Holder,
    /// Its value.
    pub value: usize,
    /// The key of the file that sets it.
    pub key: Arc<str>,
}

impl Budget {
    /// That of `holder`, of which nothing is used.
    pub fn new(holder: Holder, limits: LimitTable) -> Arc<Self> {
        Arc::new(Self {
            holder,
            clients: Gauge::new(limits.max_clients.as_ref()),
            waiting: Gauge::new(limits.max_waiting.as_ref()),
            servers: Gauge::new(limits.max_servers.as_ref()),
            weight: AtomicU32::new(weight(&limits)),
            bucket: Bucket::new(rate(&limits)),
            limits: ArcSwap::from_pointee(limits),
            limited: Default::default(),
        })
    }

    /// These hold from now on; who has more keeps it.
    pub(super) fn change(&self, limits: LimitTable) {
        self.clients.set(limits.max_clients.as_ref());
        self.waiting.set(limits.max_waiting.as_ref());
        self.servers.set(limits.max_servers.as_ref());
        self.weight.store(weight(&limits), Ordering::Relaxed);
        self.bucket.set(rate(&limits));
        self.limits.store(Arc::new(limits));
    }

    /// Whose it is.
    pub fn holder(&self) -> &Holder {
        &self.holder
    }

    /// Its limits.
    pub fn limits(&self) -> Arc<LimitTable> {
        self.limits.load_full()
    }

    /// One more of that kind, unless that is one too many; see [`Budget::leave`].
    pub(super) fn enter(&self, kind: Kind) -> Result<(), Met> {
        if self.gauge(kind).is_none_or(Gauge::enter) {
            return Ok(());
        }
        Err(self.met(kind))
    }

    /// One less.
    pub(super) fn leave(&self, kind: Kind) {
        if let Some(gauge) = self.gauge(kind) {
            gauge.leave();
        }
    }

    /// Whether requests are counted.
    #[inline]
    pub fn is_rated(&self) -> bool {
        self.bucket.is_limited()
    }

    /// The time until a request may be sent, which is to be sent then; `None`: that is longer than `patience`.
    pub(super) fn take_turn(&self, now: Instant, patience: Duration) -> Option<Duration> {
        self.bucket.take(now, patience)
    }

    /// The request will not be sent.
    pub(super) fn give_turn_back(&self) {
        self.bucket.give_back();
    }

    /// How many servers it may have at once, if that is limited.
    #[inline]
    pub fn most_servers(&self) -> Option<usize> {
        Some(self.servers.most.load(Ordering::Relaxed)).filter(|most| *most != usize::MAX)
    }

    /// Whether it may have one more.
    #[inline]
    pub fn has_room_for_a_server(&self) -> bool {
        self.most_servers().is_none_or(|most| self.servers.count() < most)
    }

    /// It has one more.
    #[inline]
    pub fn take_server(&self) {
        self.servers.now.fetch_add(1, Ordering::Relaxed);
    }

    /// It has one less.
    #[inline]
    pub fn give_back_server(&self) {
        self.servers.leave();
    }

    /// How many turns in a row it has at a server.
    pub fn weight(&self) -> u32 {
        self.weight.load(Ordering::Relaxed)
    }

    /// How many there are now.
    pub fn used(&self, kind: Kind) -> usize {
        self.gauge(kind).map_or(0, Gauge::count)
    }

    /// How often that limit has held somebody up.
    pub fn limited(&self, kind: Kind) -> u64 {
        self.limited.get(kind as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// The limit of that kind, if there is one.
    pub fn limit(&self, kind: Kind) -> Option<Limit<usize>> {
        let limits = self.limits.load();
        match kind {
            Kind::Clients => limits.max_clients.clone(),
            Kind::Waiting => limits.max_waiting.clone(),
            Kind::Servers => limits.max_servers.clone(),
            Kind::Rate => limits.rate.as_ref().map(|limit| Limit {
                value: usize::try_from(limit.value.per_second).unwrap_or(usize::MAX),
                key: Arc::clone(&limit.key),
            }),
        }
    }

    /// That limit has held somebody up.
    pub fn hold_up(&self, kind: Kind) {
        if let Some(count) = self.limited.get(kind as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Somebody has met that limit.
    fn met(&self, kind: Kind) -> Met {
        self.hold_up(kind);
        // It may be another one by now, or none.
        let limit = self.limit(kind);
        let (value, key) = limit.map_or((0, kind.as_str().into()), |limit| (limit.value, limit.key));
        Met { kind, holder: self.holder.clone(), value, key }
    }

    fn gauge(&self, kind: Kind) -> Option<&Gauge> {
        match kind {
            Kind::Clients => Some(&self.clients),
            Kind::Waiting => Some(&self.waiting),
            Kind::Servers => Some(&self.servers),
            Kind::Rate => None,
        }
    }
}
