//! What all sessions of a process share. Made once, handed down, never global.
//!
//! # Layout
//! - this file: what is there for as long as the process.
//! - [`database`]: a database as clients ask for it; [`cluster`]: what it has on one cluster.
//! - [`tenancy`]: what names mean for one tenant.
//! - [`statements`]: the prepared statements of all clients; [`repeated`]: unnamed ones that come again.
//! - [`incoming`]: room for long messages. [`draw_readers`]: the tenants that read what they have drawn.
//! - [`snapshot`]: what a reload of the configuration replaces. [`parts`]: what it says of one database.

pub mod cluster;
mod database;
pub mod draw_readers;
pub mod incoming;
mod parts;
pub mod repeated;
pub mod snapshot;
pub mod statements;
pub mod tenancy;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::watch;

pub use self::database::{DatabaseHandle, Found, Located};
use self::incoming::Incoming;
use self::snapshot::{Queue, Snapshot};
use self::statements::StatementStore;
use crate::auth::accept::ContextError;
use crate::cancel::Cancels;
use crate::catalog::CatalogError;
use crate::clients::Clients;
use crate::config::{Config, Mode};
use crate::exit::Exit;
use crate::handover::Handover;
use crate::judges::Judges;
use crate::metrics::Metrics;
use crate::net::tls::TlsConfigError;
use crate::observe::Observer;
use crate::peers::Peers;
use crate::sql::Engine;

/// Parameters that PostgreSQL reports, with their values.
pub type ReportedParameters = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// What all sessions share.
pub struct Shared {
    /// The newest configuration, and what was made of it.
    newest: watch::Sender<Arc<Snapshot>>,
    /// Those who want it to be read again.
    reloads: Queue,
    /// The runtime that lasts as long as the process: what a reload begins goes on there.
    home: Handle,
    /// text -> plan.
    pub engine: Engine,
    /// Room for messages that are not complete yet.
    pub incoming: Incoming,
    /// Where that takes long.
    pub judges: Judges,
    /// The statements that clients have prepared.
    pub store: Arc<StatementStore>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Where nothing is to be routed, only watched.
    pub observer: Option<Observer>,
    /// The clients that can be cancelled.
    pub cancels: Arc<Cancels>,
    /// The other proxies, for cancel requests of their clients.
    pub peers: Peers,
    /// The clients that are logged in.
    pub clients: Arc<Clients>,
    /// Whether the process is to end.
    pub exit: Exit,
    /// Whether another process is to take over.
    pub handover: Handover,
}

/// Why there is no proxy.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// For the way in.
    #[error(transparent)]
    Accept(#[from] ContextError),
    /// For TLS to PostgreSQL.
    #[error("database \"{0}\": {1}")]
    Tls(String, #[source] TlsConfigError),
    /// For the control connections.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// For what makes tenants.
    #[error("database \"{0}\": {1}")]
    Control(String, String),
}

impl Shared {
    /// All of it. Reads certificates and hashes passwords; connects to nobody.
    ///
    /// Must be called inside a runtime that lasts as long as this, which then loads the catalog.
    pub fn new(config: Config) -> Result<Arc<Self>, SetupError> {
        let engine = Engine::new(config.limits.plan_cache_bytes);
        Self::with_engine(config, engine)
    }

    /// The same with an engine that has seen texts already.
    pub fn with_engine(config: Config, engine: Engine) -> Result<Arc<Self>, SetupError> {
        let incoming = Incoming::new(config.limits.max_buffered_bytes);
        let metrics = Arc::new(Metrics::new(config.metrics.tenants));
        metrics.statements.set_limit(config.metrics.statements_memory);
        metrics.certificates(&config.certificates);
        let clients = Arc::new(Clients::default());
        clients.journal.follow(&config.log);
        Ok(Arc::new(Self {
            engine,
            incoming,
            judges: Judges::default(),
            store: StatementStore::new(),
            observer: (config.tenancy.mode == Mode::Observe).then(|| Observer::new(Arc::clone(&metrics))),
            cancels: Arc::default(),
            peers: Peers::default(),
            exit: Exit::default(),
            handover: Handover::default(),
            reloads: Queue::default(),
            home: Handle::current(),
            newest: watch::Sender::new(Arc::new(Snapshot::first(config, &metrics, clients.origin())?)),
            metrics,
            clients,
        }))
    }

    /// The newest configuration, and what was made of it.
    pub fn current(&self) -> Arc<Snapshot> {
        Arc::clone(&self.newest.borrow())
    }

    /// The same, and each that comes behind it.
    pub fn news(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.newest.subscribe()
    }

    /// Brings the gauges up to date. For each scrape, and now and then.
    pub fn observe(&self) {
        let cache = self.engine.stats();
        self.metrics.plan_cache(cache.hits, cache.misses, cache.bytes);
        self.metrics.analysis_pauses(self.judges.pauses());
        self.metrics.prepared(self.store.len());
        let now = self.current();
        let clusters = now.clusters();
        self.metrics
            .keep_databases(&clusters.iter().map(|cluster| cluster.name.as_str()).collect::<Vec<_>>());
        for database in clusters {
            let name = &database.name;
            let status = database.servers.status();
            let active = status.size.saturating_sub(status.idle);
            let tenants = database.tenants.usage();
            let (idle, active) = (status.idle + tenants.idle, active + tenants.active);
            let most = now.config.pool_of(name).max_servers;
            self.metrics.servers(name, idle, active, status.waiting + tenants.waiting, most);
            self.metrics.tenant_servers(name, &tenants);
        }
    }
}
