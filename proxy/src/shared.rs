//! What all sessions of a process share. Made once, handed down, never global.
//!
//! # Layout
//! - this file: what is there for as long as the process, and one database.
//! - [`snapshot`]: what a reload of the configuration replaces. [`parts`]: what it says of one database.

mod parts;
pub mod snapshot;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use pgstrata_tenancy::{RoleName, TenantId};
use quick_cache::sync::Cache;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::parts::Parts;
use self::snapshot::{Queue, Snapshot};
use crate::auth::accept::ContextError;
use crate::catalog::listen::{Audience, Listener};
use crate::catalog::{Catalog, CatalogError, Control, Found, Survey, TenantDirectory};
use crate::channels::Channels;
use crate::clients::Clients;
use crate::config::{Changes, Config, Effect, Mode, NoRole, Policy};
use crate::exit::Exit;
use crate::gate::Gate;
use crate::judges::Judges;
use crate::metrics::Metrics;
use crate::observe::Observer;
use crate::pool::birth::Birth;
use crate::pool::roster::Roster;
use crate::pool::servers::{CheckoutError, Lease, Servers};
use crate::pool::settings::Settings;
use crate::pool::tenants::TenantServers;
use crate::pool::tls::TlsConfigError;
use crate::pool::turns;
use crate::provision::{Births, Provisioner};
use crate::session::Told;
use crate::session::cancel::Cancels;
use crate::session::statements::StatementStore;
use crate::session::tenant::Tenancy;
use crate::sql::Engine;

/// How many sets of start-up settings are remembered as good, with what PostgreSQL made of them.
const REMEMBERED_SETTINGS: usize = 10_000;

/// For how many tenants it is remembered what names mean: what is forgotten is made anew.
const REMEMBERED_TENANCIES: usize = 10_000;

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
    /// The clients that are logged in.
    pub clients: Arc<Clients>,
    /// Whether the process is to end.
    pub exit: Exit,
}

/// What a server reported, and how it was born.
type Validated = (Birth, Arc<Told>);

/// One database: its servers, and what is known of its tenants.
pub struct DatabaseHandle {
    /// The pool that tenants share.
    pub servers: Servers,
    /// The pools of those that log in by themselves.
    pub tenants: Arc<TenantServers>,
    /// All servers of both.
    pub roster: Arc<Roster>,
    /// What an operator has decided for it.
    pub gate: Arc<Gate>,
    /// What its schemas hold.
    pub catalog: Arc<Catalog>,
    /// Which tenants there are, and how they fare.
    pub directory: TenantDirectory,
    /// Makes tenants that are named for the first time, where some are to be made.
    provisioner: ArcSwapOption<Provisioner>,
    /// What clients listen to.
    pub channels: Channels,
    /// Hears of changes of tenants.
    listener: ArcSwap<Listener>,
    /// Finds those that nobody tells of.
    survey: ArcSwap<Survey>,
    /// What is at work for the two, once there is something.
    watching: Mutex<Option<JoinSet<()>>>,
    /// Asks what the proxy itself wants to know.
    control: Control,
    /// The name in the configuration.
    pub name: String,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The path that servers are born with, as [`ident::search_path`] writes it.
    pub baseline: Arc<str>,
    /// What servers report once they have these settings, set under that role; and how those were born.
    pub validated: Cache<(Arc<Settings>, Option<RoleName>), Validated>,
    /// What names mean for each tenant, by what its users may do and [`Config::meaning`]: what a session makes that
    /// has not heard of a reload is nobody else's.
    tenancies: Cache<(Option<TenantId>, Policy, u64), Arc<Tenancy>>,
    /// The clients that are tied to a server.
    pinned: Arc<AtomicUsize>,
    /// The clients that are logged in.
    clients: Arc<AtomicUsize>,
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
        let metrics = Arc::new(Metrics::new(config.metrics.tenants));
        metrics.certificates(&config.certificates);
        let clients = Arc::new(Clients::default());
        Ok(Arc::new(Self {
            engine: Engine::new(config.limits.plan_cache_bytes),
            judges: Judges::default(),
            store: StatementStore::new(),
            observer: (config.tenancy.mode == Mode::Observe).then(|| Observer::new(Arc::clone(&metrics))),
            cancels: Arc::default(),
            exit: Exit::default(),
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
        self.metrics.prepared(self.store.len());
        let Snapshot { databases, config, .. } = &*self.current();
        for (name, database) in databases {
            let status = database.servers.status();
            let active = status.size.saturating_sub(status.idle);
            let tenants = database.tenants.usage();
            let (idle, active) = (status.idle + tenants.idle, active + tenants.active);
            let most = config.pool.max_servers;
            self.metrics.servers(name, idle, active, status.waiting + tenants.waiting, most);
            self.metrics.tenant_servers(name, &tenants);
        }
    }
}

impl DatabaseHandle {
    /// Of its parts. Must be called inside a runtime, which then loads the catalog.
    fn new(name: &str, config: &Config, parts: Parts, metrics: &Arc<Metrics>) -> Arc<Self> {
        let Parts { kind, baseline, control, channels, listener, survey, provisioner } = parts;
        let tenancy = &config.tenancy;
        let roster = Arc::clone(&kind.roster);
        let tenants = TenantServers::new(&kind, &config.pool, &tenancy.login_key);
        let servers = Servers::new(kind, None);
        let (catalog, loader) = Catalog::new(
            control.clone(),
            &tenancy.shared_schemas,
            tenancy.catalog_cache,
            Arc::clone(metrics),
        );
        tokio::spawn(loader.run());
        let (directory, lookups) = TenantDirectory::new(control.clone(), config, Arc::clone(&catalog));
        tokio::spawn(lookups.run());
        let gate = Gate::new(servers.clone(), Arc::clone(&tenants), Arc::clone(&roster));
        let database = Arc::new(Self {
            servers,
            tenants,
            roster,
            gate,
            catalog,
            directory,
            provisioner: ArcSwapOption::empty(),
            channels: Channels::new(channels),
            listener: ArcSwap::from_pointee(listener),
            survey: ArcSwap::from_pointee(survey),
            watching: Mutex::default(),
            control,
            name: name.to_owned(),
            metrics: Arc::clone(metrics),
            baseline,
            validated: Cache::new(REMEMBERED_SETTINGS),
            tenancies: Cache::new(REMEMBERED_TENANCIES),
            pinned: Arc::default(),
            clients: Arc::default(),
        });
        database.provide(provisioner);
        database
    }

    /// Goes on with these parts. Clients keep what they have, and so do servers that are lent.
    fn change(self: &Arc<Self>, config: &Config, parts: Parts, changes: &Changes) {
        let entry = format!("databases.{}", self.name);
        if changes.have(Effect::Tenants) {
            // Nobody will ask for what they meant before, but for sessions that are about to hear of it.
            self.tenancies.clear();
        }
        let Parts { kind, control, channels, listener, survey, provisioner, .. } = parts;
        if changes.touch("pool")
            || changes.touch("limits")
            || changes.touch("tenancy")
            || changes.touch(&entry)
        {
            self.tenants.change(&kind);
            self.servers.change(kind);
        }
        if changes.touch(&entry) {
            self.control.become_like(&control);
            self.channels.change(channels);
        }
        if changes.touch("tenancy") {
            self.directory.believe_for(config.tenancy.tenant_cache);
            self.catalog.believe_for(config.tenancy.catalog_cache);
        }
        if changes.touch(&entry) || changes.touch("tenancy") {
            self.listener.store(Arc::new(listener));
            self.survey.store(Arc::new(survey));
            if self.lock_watching().is_some() {
                self.watch();
            }
        }
        if ["provision", "tenancy", "tenants", &entry].iter().any(|section| changes.touch(section)) {
            self.provide(provisioner);
        }
    }

    /// Nobody is served from now on but those who have a server.
    fn retire(&self) {
        self.servers.close();
        self.tenants.close();
        self.provisioner.store(None);
        drop(self.lock_watching().take());
        self.metrics.servers(&self.name, 0, 0, 0, 0);
    }

    /// What is made when it is named for the first time, from now on.
    fn provide(&self, provisioner: Option<(Provisioner, Births)>) {
        self.provisioner.store(provisioner.map(|(provisioner, births)| {
            tokio::spawn(births.run());
            Arc::new(provisioner)
        }));
    }

    /// Hears of changes of tenants, and looks for those that nobody tells of, until it is called again or the
    /// database is retired.
    pub fn watch(self: &Arc<Self>) {
        let database = Arc::clone(self);
        let (listener, survey) = (self.listener.load_full(), self.survey.load_full());
        let mut watching = JoinSet::new();
        watching.spawn(async move {
            let metrics = &database.metrics;
            let audience = Audience { catalog: &database.catalog, directory: &database.directory, metrics };
            let survey = survey.run(&database.directory, &database.clients, metrics);
            tokio::join!(listener.run(&audience), survey);
        });
        *self.lock_watching() = Some(watching);
    }

    fn lock_watching(&self) -> MutexGuard<'_, Option<JoinSet<()>>> {
        self.watching.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A server for `tenant`, which logs in as `login`, or one of those that tenants share.
    pub async fn check_out(
        &self,
        login: Option<&RoleName>,
        tenant: &turns::Tenant,
        limit: Duration,
    ) -> Result<Lease, CheckoutError> {
        match login {
            Some(role) => self.tenants.check_out_within(role, limit).await,
            None => self.servers.check_out_within(tenant, limit).await,
        }
    }

    /// What names mean for `tenant`, whose schema is `schema`, to users of this policy. The error: it can't
    /// have the role that its tier needs.
    pub fn tenancy(
        &self,
        tenant: Option<&TenantId>,
        schema: &str,
        policy: Policy,
        config: &Config,
    ) -> Result<Arc<Tenancy>, NoRole> {
        let key = (tenant.cloned(), policy, config.meaning);
        if let Some(known) = self.tenancies.get(&key) {
            return Ok(known);
        }
        let tenancy = Arc::new(Tenancy::new(tenant, schema, policy, config, self)?);
        self.tenancies.insert(key, Arc::clone(&tenancy));
        Ok(tenancy)
    }

    /// What names mean for the tenants that had a client lately, once for each kind of user.
    pub fn known_tenancies(&self) -> Vec<Arc<Tenancy>> {
        self.tenancies.iter().map(|(_, tenancy)| tenancy).collect()
    }

    /// Whether PostgreSQL answers at all, on a connection that is no server of the pool.
    pub async fn answers(&self, limit: Duration) -> Result<(), CatalogError> {
        self.control.answers(limit).await
    }

    /// Counts the clients that are tied to a server.
    pub fn pinned(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.pinned)
    }

    /// Whether so many of them are.
    pub fn is_pinned_out(&self, limit: usize) -> bool {
        self.pinned.load(Ordering::Relaxed) >= limit
    }

    /// Counts the clients that are logged in.
    pub fn clients(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.clients)
    }

    /// The tenant that somebody asks for by its name, at a login or later, by `config`. `None`: there is no such tenant.
    pub async fn find(&self, tenant: &TenantId, config: &Config) -> Result<Option<Found>, Arc<CatalogError>> {
        self.directory.resolve(tenant, config).await
    }

    /// As [`DatabaseHandle::find`], for a user who may name the tenant: it is made if it is one of those that are.
    pub async fn find_or_make(
        &self,
        tenant: &TenantId,
        config: &Config,
    ) -> Result<Option<Found>, Arc<CatalogError>> {
        let found = self.find(tenant, config).await?;
        let (None, Some(provisioner)) = (&found, self.provisioner.load_full()) else { return Ok(found) };
        let Some(schema) = config.schemas.candidate(tenant) else { return Ok(None) };
        match provisioner.ensure(tenant, &schema).await {
            Some(true) => {
                self.directory.invalidate(&schema);
                self.find(tenant, config).await
            }
            _ => Ok(None),
        }
    }
}
