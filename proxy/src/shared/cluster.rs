//! One database on one cluster: its servers, and what is known of the tenants there.
//!
//! It knows nothing of clients that log in, nor of other clusters: what is there for all clusters of a database holds
//! [`super::DatabaseHandle`].

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use pgstrata_tenancy::RoleName;
use quick_cache::sync::Cache;
use tokio::task::JoinSet;

use super::ReportedParameters;
use super::parts::Parts;
use crate::catalog::listen::{Audience, Listener};
use crate::catalog::{Announcements, Catalog, CatalogError, Control, Survey, TenantDirectory};
use crate::channels::Channels;
use crate::config::{Changes, Config, Database, OnCluster};
use crate::gate::Gate;
use crate::metrics::Metrics;
use crate::pool::birth::Birth;
use crate::pool::claim::Claim;
use crate::pool::roster::Roster;
use crate::pool::servers::{CheckoutError, Lease, Servers};
use crate::pool::settings::Settings;
use crate::pool::tenants::TenantServers;
use crate::provision::{ProvisionQueue, Provisioner};

/// How many sets of start-up settings are remembered as good, with what PostgreSQL made of them.
const REMEMBERED_SETTINGS: usize = 10_000;

/// What a server reported, and how it was born.
type Validated = (Birth, Arc<ReportedParameters>);

/// Tells the clusters of a process apart, those of before a reload too.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub struct ClusterId(u64);

impl ClusterId {
    fn next() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// What all clusters of a database have in common.
#[derive(Clone)]
pub(super) struct Common {
    /// Whether something was invalidated on any of them.
    pub announcements: Arc<Announcements>,
    /// The clients that are logged in.
    pub clients: Arc<AtomicUsize>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
}

/// One database on one cluster.
pub struct Cluster {
    /// No other has it.
    pub id: ClusterId,
    /// The name of its entry in the configuration: what pools and metrics are called by.
    pub name: String,
    /// Which cluster of which database it is, where that is on several.
    pub on: Option<OnCluster>,
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
    pub(super) provisioner: ArcSwapOption<Provisioner>,
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
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The path that servers are born with, as [`pgstrata_tenancy::ident::search_path`] writes it.
    pub baseline: Arc<str>,
    /// What servers report once they have these settings, set under that role; and how those were born.
    pub validated: Cache<(Arc<Settings>, Option<RoleName>), Validated>,
    /// The clients that are logged in to the database.
    clients: Arc<AtomicUsize>,
}

impl Cluster {
    /// Of its parts. Must be called inside a runtime, which then loads the catalog.
    pub(super) fn new(
        (name, entry): (&str, &Database),
        config: &Config,
        parts: Parts,
        common: Common,
    ) -> Arc<Self> {
        let Parts { kind, baseline, control, channels, listener, survey, provisioner } = parts;
        let Common { announcements, clients, metrics } = common;
        let tenancy = &config.tenancy;
        let roster = Arc::clone(&kind.roster);
        let tenants = TenantServers::new(&kind, &config.pool, &tenancy.login_key);
        let servers = Servers::new(kind, None);
        let (catalog, loader) = Catalog::new(
            control.clone(),
            &tenancy.shared_schemas,
            tenancy.catalog_cache,
            Arc::clone(&metrics),
        );
        tokio::spawn(loader.run());
        let on = entry.cluster.clone();
        let places = on.as_ref().is_some_and(|on| on.is_registry);
        let (directory, lookups) =
            TenantDirectory::on_cluster(control.clone(), config, Arc::clone(&catalog), places, announcements);
        tokio::spawn(lookups.run());
        let gate = Gate::new(servers.clone(), Arc::clone(&tenants), Arc::clone(&roster));
        let cluster = Arc::new(Self {
            id: ClusterId::next(),
            name: name.to_owned(),
            on,
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
            metrics,
            baseline,
            validated: Cache::new(REMEMBERED_SETTINGS),
            clients,
        });
        cluster.provide(provisioner);
        cluster
    }

    /// The name by which clients ask for its database.
    pub fn database(&self) -> &str {
        self.on.as_ref().map_or(&self.name, |on| &on.database)
    }

    /// Goes on with these parts. Clients keep what they have, and so do servers that are lent.
    pub(super) fn change(
        self: &Arc<Self>,
        entry: &Database,
        config: &Config,
        parts: Parts,
        changes: &Changes,
    ) {
        let Parts { kind, control, channels, listener, survey, provisioner, .. } = parts;
        let own = changes.touch_entry(&self.name, entry);
        let touched = |sections: &[&str]| own || sections.iter().any(|section| changes.touch(section));
        if touched(&["pool", "limits", "tenancy", "tenants"]) {
            self.tenants.change(&kind);
            self.servers.change(kind);
        }
        if ["tenancy", "tenants", "users"].iter().any(|section| changes.touch(section)) {
            self.servers.look_again();
            self.tenants.look_again();
        }
        if own {
            self.control.become_like(&control);
            self.channels.change(channels);
        }
        if changes.touch("tenancy") {
            self.directory.believe_for(config.tenancy.tenant_cache);
            self.catalog.believe_for(config.tenancy.catalog_cache);
        }
        if touched(&["tenancy"]) {
            self.listener.store(Arc::new(listener));
            self.survey.store(Arc::new(survey));
            if self.lock_watching().is_some() {
                self.watch();
            }
        }
        if touched(&["provision", "tenancy", "tenants"]) {
            self.provide(provisioner);
        }
    }

    /// Nobody is served from now on but those who have a server.
    pub(super) fn retire(&self) {
        self.servers.close();
        self.tenants.close();
        self.provisioner.store(None);
        self.channels.close();
        drop(self.lock_watching().take());
    }

    /// What is made when it is named for the first time, from now on. On the registry's cluster alone: elsewhere a
    /// tenant is made by who has said so.
    fn provide(&self, provisioner: Option<(Provisioner, ProvisionQueue)>) {
        let provisioner = provisioner.filter(|_| self.on.as_ref().is_none_or(|on| on.is_registry));
        self.provisioner.store(provisioner.map(|(provisioner, births)| {
            tokio::spawn(births.run());
            Arc::new(provisioner)
        }));
    }

    /// Hears of changes of tenants, and looks for those that nobody tells of, until it is called again or the
    /// cluster is retired.
    pub fn watch(self: &Arc<Self>) {
        #[cfg(feature = "simulation")]
        if crate::simulation::world(|_| ()).is_some() {
            return;
        }
        let cluster = Arc::clone(self);
        let (listener, survey) = (self.listener.load_full(), self.survey.load_full());
        let mut watching = JoinSet::new();
        watching.spawn(async move {
            let metrics = &cluster.metrics;
            let audience = Audience { catalog: &cluster.catalog, directory: &cluster.directory, metrics };
            let survey = survey.run(&cluster.directory, &cluster.clients, metrics);
            tokio::join!(listener.run(&audience), survey);
        });
        *self.lock_watching() = Some(watching);
    }

    fn lock_watching(&self) -> MutexGuard<'_, Option<JoinSet<()>>> {
        self.watching.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes when what `schema` holds may have, and is another on each cluster.
    pub fn epoch(&self, schema: &str) -> u64 {
        self.catalog.epoch(schema) + (self.id.0 << 40)
    }

    /// A server that logs in as `login`, or one of those that tenants share.
    pub async fn check_out(
        &self,
        login: Option<&RoleName>,
        claim: &Claim,
        limit: Duration,
    ) -> Result<Lease, CheckoutError> {
        match login {
            Some(role) => self.tenants.check_out_within(role, claim, limit).await,
            None => self.servers.check_out_within(claim, limit).await,
        }
    }

    /// Whether PostgreSQL answers at all, on a connection that is no server of the pool.
    pub async fn answers(&self, limit: Duration) -> Result<(), CatalogError> {
        self.control.answers(limit).await
    }
}
