//! What all sessions of a process share. Made once, handed down, never global.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pgstrata_tenancy::{RoleName, TenantId, ident};
use quick_cache::sync::Cache;
use tokio::sync::Semaphore;

use crate::auth::accept::{AcceptContext, ContextError};
use crate::catalog::listen::{Audience, Listener};
use crate::catalog::{Catalog, CatalogError, Control, Found, Survey, TenantDirectory};
use crate::channels::{self, Channels};
use crate::clients::Clients;
use crate::config::{Config, Database, Mode, NoRole, Policy};
use crate::exit::Exit;
use crate::gate::Gate;
use crate::judges::Judges;
use crate::metrics::Metrics;
use crate::observe::Observer;
use crate::pool::birth::Birth;
use crate::pool::roster::Roster;
use crate::pool::servers::{CheckoutError, Kind, Lease, Servers};
use crate::pool::settings::Settings;
use crate::pool::target::Target;
use crate::pool::tenants::TenantServers;
use crate::pool::tls::TlsConfigError;
use crate::pool::turns;
use crate::provision::Provisioner;
use crate::session::Told;
use crate::session::cancel::Cancels;
use crate::session::statements::StatementStore;
use crate::session::tenant::Tenancy;
use crate::sql::Engine;
use crate::tenant;

/// How many sets of start-up settings are remembered as good, with what PostgreSQL made of them.
const REMEMBERED_SETTINGS: usize = 10_000;

/// For how many tenants it is remembered what names mean: what is forgotten is made anew.
const REMEMBERED_TENANCIES: usize = 10_000;

/// What all sessions share.
pub struct Shared {
    /// The configuration.
    pub config: Arc<Config>,
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
    /// The databases, by the names that clients use.
    pub databases: HashMap<String, Arc<DatabaseHandle>>,
    /// What logins are judged by.
    pub accept: AcceptContext,
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
    provisioner: Option<Provisioner>,
    /// What clients listen to.
    pub channels: Channels,
    /// Hears of changes of tenants.
    listener: Listener,
    /// Finds those that nobody tells of.
    survey: Survey,
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
    /// What names mean for each tenant, by what its users may do.
    tenancies: Cache<(Option<TenantId>, Policy), Arc<Tenancy>>,
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
    /// Must be called inside a runtime, which then loads the catalog.
    pub fn new(config: Config) -> Result<Arc<Self>, SetupError> {
        let metrics = Arc::new(Metrics::new(config.metrics.tenants));
        let clients = Arc::new(Clients::default());
        let mut databases = HashMap::new();
        for name in config.databases.keys() {
            let roster = Roster::new(clients.origin());
            let database = DatabaseHandle::new(name, &config, &metrics, roster)?;
            databases.insert(name.clone(), Arc::new(database));
        }
        Ok(Arc::new(Self {
            engine: Engine::new(config.limits.plan_cache_bytes),
            judges: Judges::default(),
            store: StatementStore::new(),
            observer: (config.tenancy.mode == Mode::Observe).then(|| Observer::new(Arc::clone(&metrics))),
            metrics,
            cancels: Arc::default(),
            clients,
            exit: Exit::default(),
            databases,
            accept: AcceptContext::new(&config)?,
            config: Arc::new(config),
        }))
    }

    /// Brings the gauges up to date. For each scrape, and now and then.
    pub fn observe(&self) {
        let cache = self.engine.stats();
        self.metrics.plan_cache(cache.hits, cache.misses, cache.bytes);
        self.metrics.prepared(self.store.len());
        for (name, database) in &self.databases {
            let status = database.servers.status();
            let active = status.size.saturating_sub(status.idle);
            let tenants = database.tenants.usage();
            let (idle, active) = (status.idle + tenants.idle, active + tenants.active);
            let most = self.config.pool.max_servers;
            self.metrics.servers(name, idle, active, status.waiting + tenants.waiting, most);
            self.metrics.tenant_servers(name, &tenants);
        }
    }
}

/// What makes tenants of this database by itself; nothing where none are to be made.
fn provisioner(config: &Config, name: &str, database: &Database) -> Result<Option<Provisioner>, SetupError> {
    if config.provision.auto.is_empty() {
        return Ok(None);
    }
    let control = tenant::connect::control(config, name, database, None)
        .map_err(|failure| SetupError::Control(name.to_owned(), failure.to_string()))?;
    let (provisioner, births) = Provisioner::new(config, name, control);
    tokio::spawn(births.run());
    Ok(Some(provisioner))
}

impl DatabaseHandle {
    fn new(
        name: &str,
        config: &Config,
        metrics: &Arc<Metrics>,
        roster: Arc<Roster>,
    ) -> Result<Self, SetupError> {
        // Config::load has checked that each name has an entry.
        let Some(entry) = config.databases.get(name) else {
            return Err(CatalogError::NoTls(name.to_owned()).into());
        };
        let tls_failed = |error| SetupError::Tls(name.to_owned(), error);
        let target = Target::new(name, entry).map_err(tls_failed)?;
        let target = target.tcp_user_timeout(config.pool.tcp_user_timeout);
        let tls = crate::pool::tls::client_tls_config(entry).map_err(tls_failed)?;
        let control = Control::new(name, entry, tls.clone())?;
        let channels = Channels::new(channels::Settings::new(name, entry, tls.clone())?);
        let listener = Listener::new(name, entry, tls, config.tenancy.catalog_notify)?;
        let baseline: Arc<str> =
            ident::search_path(config.tenancy.shared_schemas.iter().map(String::as_str)).into();
        let mut parameters = vec![
            ("client_encoding".to_owned(), "UTF8".to_owned()),
            // The guard reads texts as the standard has it.
            ("standard_conforming_strings".to_owned(), "on".to_owned()),
        ];
        // Where nothing is routed, PostgreSQL's own path is the one that clients know.
        if config.tenancy.mode == Mode::Route {
            parameters.push(("search_path".to_owned(), baseline.to_string()));
        }
        let limits = &config.limits;
        let max_prepared = (limits.max_prepared_statements_per_server, limits.max_prepared_bytes_per_server);
        let kind = Kind {
            target,
            parameters,
            settings: config.pool.clone(),
            share: config.tenancy.max_servers_per_tenant,
            max_prepared,
            metrics: Arc::clone(metrics),
            logins: Arc::new(Semaphore::new(config.pool.max_logins)),
            roster: Arc::clone(&roster),
        };
        let tenancy = &config.tenancy;
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
        let provisioner = provisioner(config, name, entry)?;
        let gate = Gate::new(servers.clone(), Arc::clone(&tenants), Arc::clone(&roster));
        Ok(Self {
            servers,
            tenants,
            roster,
            gate,
            catalog,
            directory,
            provisioner,
            channels,
            listener,
            survey: Survey::new(control.clone(), tenancy.tenant_cache),
            control,
            name: name.to_owned(),
            metrics: Arc::clone(metrics),
            baseline,
            validated: Cache::new(REMEMBERED_SETTINGS),
            tenancies: Cache::new(REMEMBERED_TENANCIES),
            pinned: Arc::default(),
            clients: Arc::default(),
        })
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
        let key = (tenant.cloned(), policy);
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

    /// The tenant that somebody asks for by its name, at a login or later. `None`: there is no such tenant.
    pub async fn find(&self, tenant: &TenantId) -> Result<Option<Found>, Arc<CatalogError>> {
        self.directory.resolve(tenant).await
    }

    /// As [`DatabaseHandle::find`], for a user who may name the tenant: it is made if it is one of those that are.
    pub async fn find_or_make(&self, tenant: &TenantId) -> Result<Option<Found>, Arc<CatalogError>> {
        let found = self.find(tenant).await?;
        let (None, Some(provisioner)) = (&found, &self.provisioner) else { return Ok(found) };
        let Some(schema) = self.directory.candidate(tenant) else { return Ok(None) };
        match provisioner.ensure(tenant, &schema).await {
            Some(true) => {
                self.directory.invalidate(&schema);
                self.find(tenant).await
            }
            _ => Ok(None),
        }
    }

    /// Hears of changes of tenants, and looks for those that nobody tells of, for ever.
    pub async fn watch(&self, metrics: &Metrics) {
        let audience = Audience { catalog: &self.catalog, directory: &self.directory, metrics };
        let survey = self.survey.run(&self.directory, &self.clients, metrics);
        tokio::join!(self.listener.run(&audience), survey);
    }
}
