//! A database as clients ask for it, on all of its clusters: what names mean for its tenants, and where each lives.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arc_swap::ArcSwap;
use pgstrata_control::registry::State;
use pgstrata_tenancy::TenantId;
use quick_cache::sync::Cache;

use super::cluster::{Cluster, ClusterId, Common};
use super::draw_readers::DrawReaders;
use super::parts::Parts;
use super::tenancy::Tenancy;
use crate::catalog::CatalogError;
use crate::catalog::directory::{Look, Sight};
use crate::catalog::placement::Placement;
use crate::config::{Changes, Config, Effect, NoRole, Policy};
use crate::limits::Budgets;
use crate::metrics::Metrics;

/// For how many tenants it is remembered what names mean: what is forgotten is made anew.
const REMEMBERED_TENANCIES: usize = 10_000;

/// The clusters of a database, by their names in the configuration; none where the database says itself where it is.
type Clusters = BTreeMap<Box<str>, Arc<Cluster>>;

/// One database, as clients ask for it, on all of its clusters.
pub struct DatabaseHandle {
    /// The cluster that has the registry, and that clients without a tenant work on.
    pub home: Arc<Cluster>,
    /// All of them.
    clusters: ArcSwap<Clusters>,
    common: Common,
    /// The name in the configuration.
    pub name: String,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What names mean for each tenant, by what its users may do, [`Config::meaning`] and the cluster: what a session
    /// makes that has not heard of a reload is nobody else's.
    tenancies: Cache<(Option<TenantId>, Policy, u64, ClusterId), Arc<Tenancy>>,
    /// The clients that are tied to a server.
    pinned: Arc<AtomicUsize>,
    /// What it, its tenants and its users may take.
    pub budgets: Budgets,
    /// Tenants whose clients ask what they have drawn from sequences.
    pub draw_readers: DrawReaders,
}

/// Where a tenant lives.
#[derive(Clone)]
pub struct Located {
    /// The cluster.
    pub cluster: Arc<Cluster>,
    /// Its state there.
    pub look: Look,
}

/// A tenant that is there.
#[derive(Clone)]
pub struct Found {
    /// Where it lives.
    pub cluster: Arc<Cluster>,
    /// Its schema there.
    pub schema: Arc<str>,
    /// Its state.
    pub state: State,
    /// The same, as of when.
    pub look: Look,
}

impl DatabaseHandle {
    /// Of the parts of each of its entries. Must be called inside a runtime, which then loads the catalogs.
    pub(super) fn new(
        name: &str,
        config: &Config,
        parts: &mut HashMap<String, Parts>,
        metrics: &Arc<Metrics>,
    ) -> Option<Arc<Self>> {
        let metrics_of_all = Arc::clone(metrics);
        let common =
            Common { announcements: Arc::default(), clients: Arc::default(), metrics: metrics_of_all };
        let home =
            Cluster::new((name, config.databases.get(name)?), config, parts.remove(name)?, common.clone());
        let database = Self {
            home: Arc::clone(&home),
            clusters: ArcSwap::default(),
            common,
            name: name.to_owned(),
            metrics: Arc::clone(metrics),
            tenancies: Cache::new(REMEMBERED_TENANCIES),
            pinned: Arc::default(),
            budgets: Budgets::new(name, config),
            draw_readers: DrawReaders::default(),
        };
        database.spread(config, parts, &Changes::default());
        Some(Arc::new(database))
    }

    /// Goes on with these parts. Clients keep what they have, and so do servers that are lent.
    pub(super) fn change(&self, config: &Config, parts: &mut HashMap<String, Parts>, changes: &Changes) {
        self.budgets.change(config);
        if changes.have(Effect::Tenants) {
            // Nobody will ask for what they meant before, but for sessions that are about to hear of it.
            self.tenancies.clear();
        }
        if let (Some(entry), Some(parts)) = (config.databases.get(&self.name), parts.remove(&self.name)) {
            self.home.change(entry, config, parts, changes);
        }
        self.spread(config, parts, changes);
    }

    /// Is on the clusters that `config` has it on: those that it is on and that are where they were go on, and others
    /// come and go.
    fn spread(&self, config: &Config, parts: &mut HashMap<String, Parts>, changes: &Changes) {
        let running = self.clusters.load();
        let mut next = Clusters::new();
        for (cluster, name) in config.clusters_of(&self.name) {
            if name == self.name {
                next.insert(cluster.into(), Arc::clone(&self.home));
                continue;
            }
            let (Some(entry), Some(parts)) = (config.databases.get(name), parts.remove(name)) else {
                continue;
            };
            let kept = running.get(cluster).filter(|_| !changes.replace(name, entry));
            let part = match kept {
                Some(kept) => {
                    kept.change(entry, config, parts, changes);
                    Arc::clone(kept)
                }
                None => {
                    let made = Cluster::new((name, entry), config, parts, self.common.clone());
                    if let Some(before) = running.get(cluster) {
                        made.gate.succeed(&before.gate);
                    }
                    // The first ones of a process are watched once that serves.
                    if !running.is_empty() {
                        made.watch();
                    }
                    made
                }
            };
            next.insert(cluster.into(), part);
        }
        let next = Arc::new(next);
        self.clusters.store(Arc::clone(&next));
        for (name, before) in running.iter() {
            if !next.get(name).is_some_and(|kept| Arc::ptr_eq(kept, before)) {
                // What was made for it is nobody's any more.
                self.tenancies.clear();
                // Whoever works there looks again where it is to go: in front of the end of the pool, so that those who
                // wait for one of its servers find the new place.
                before.directory.invalidate_all();
                before.retire();
            }
        }
    }

    /// Does what was decided for `before`, in whose place this one comes.
    pub(super) fn succeed(&self, before: &Self) {
        let older = before.clusters();
        for cluster in self.clusters() {
            let same = older.iter().find(|one| one.name == cluster.name);
            same.into_iter().for_each(|same| cluster.gate.succeed(&same.gate));
        }
    }

    /// Nobody is served from now on but those who have a server.
    pub(super) fn retire(&self) {
        self.clusters().iter().for_each(|cluster| cluster.retire());
    }

    /// Hears of changes of tenants on all clusters, and looks for those that nobody tells of.
    pub fn watch(&self) {
        self.clusters().iter().for_each(Cluster::watch);
    }

    /// All clusters that it is on, the one with the registry first.
    pub fn clusters(&self) -> Vec<Arc<Cluster>> {
        let others = self.clusters.load();
        let others = others.values().filter(|cluster| cluster.id != self.home.id);
        std::iter::once(&self.home).chain(others).cloned().collect()
    }

    /// What names mean for `tenant`, whose schema is `schema` on `cluster`, to users of this policy. The error: it
    /// can't have the role that its tier needs.
    pub fn tenancy(
        &self,
        tenant: Option<&TenantId>,
        (cluster, schema): (&Arc<Cluster>, &str),
        policy: Policy,
        config: &Config,
    ) -> Result<Arc<Tenancy>, NoRole> {
        let key = (tenant.cloned(), policy, config.meaning, cluster.id);
        if let Some(known) = self.tenancies.get(&key) {
            return Ok(known);
        }
        let tenancy = Tenancy::new(tenant, schema, policy, config, (self, cluster))?;
        let tenancy = Arc::new(tenancy);
        self.tenancies.insert(key, Arc::clone(&tenancy));
        Ok(tenancy)
    }

    /// What names mean for the tenants that had a client lately, once for each kind of user.
    pub fn known_tenancies(&self) -> Vec<Arc<Tenancy>> {
        self.tenancies.iter().map(|(_, tenancy)| tenancy).collect()
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
        Arc::clone(&self.common.clients)
    }

    /// Changes when it may have that the tenant of `schema` lives on `cluster`, or its state there.
    pub fn epoch(&self, schema: &str, cluster: &Cluster) -> u64 {
        let home = self.home.directory.epoch(schema);
        // Both only grow, so their sum changes when one of them does.
        if cluster.id == self.home.id { home } else { home + cluster.directory.epoch(schema) }
    }

    /// Whether another cluster stands in the place of this one, as a reload has it elsewhere.
    pub fn has_replaced(&self, cluster: &Cluster) -> bool {
        self.clusters().iter().any(|one| one.name == cluster.name && one.id != cluster.id)
    }

    /// Where the tenant with this schema lives, and its state there. The error: it lives on a cluster that is none of
    /// this database's.
    pub async fn locate(&self, schema: &Arc<str>) -> Result<Located, Arc<CatalogError>> {
        let Sight { look, placement, moved } = self.home.directory.look(schema).await?;
        let Some(placement) = placement else { return Ok(Located { cluster: Arc::clone(&self.home), look }) };
        let clusters = self.clusters.load();
        let is_there = |cluster: &&Arc<Cluster>| cluster.servers.target().name == *placement.database;
        let Some(cluster) = clusters.get(&placement.cluster).filter(is_there) else {
            let Placement { cluster, database, .. } = Placement::clone(&placement);
            let (name, schema) = (self.name.clone(), schema.as_ref().into());
            return Err(Arc::new(CatalogError::NoCluster { name, schema, cluster, database }));
        };
        if cluster.id == self.home.id {
            return Ok(Located { cluster: Arc::clone(cluster), look });
        }
        if moved {
            cluster.catalog.invalidate(schema);
        }
        let mut there = cluster.directory.look(schema).await?.look;
        if there.state.is_none() {
            // The two clusters tell of a move each by itself, in whatever order: nobody is told that the tenant is gone by
            // what is remembered. The placement comes last: if it is the same one still, the tenant was not elsewhere.
            let (state, _) = cluster.directory.look_anew(schema).await?;
            let (_, now) = self.home.directory.look_anew(schema).await?;
            if now.as_ref() != Some(&placement) {
                self.home.directory.invalidate(schema);
                return Box::pin(self.locate(schema)).await;
            }
            if state.is_some() {
                cluster.directory.invalidate(schema);
            }
            there.state = state;
        }
        // As of the first question: what came between the two must count. The epoch as [`DatabaseHandle::epoch`] has it.
        let look = Look { state: there.state, epoch: look.epoch + there.epoch, ..look };
        Ok(Located { cluster: Arc::clone(cluster), look })
    }

    /// The tenant that somebody asks for by its name, at a login or later, by `config`. `None`: there is no such tenant.
    pub async fn find(&self, tenant: &TenantId, config: &Config) -> Result<Option<Found>, Arc<CatalogError>> {
        let Some(schema) = config.schemas.candidate(tenant) else { return Ok(None) };
        let Located { cluster, look } = self.locate(&schema).await?;
        Ok(look.state.map(|state| Found { cluster, schema, state, look }))
    }

    /// As [`DatabaseHandle::find`], for a user who may name the tenant: it is made if it is one of those that are.
    pub async fn find_or_make(
        &self,
        tenant: &TenantId,
        config: &Config,
    ) -> Result<Option<Found>, Arc<CatalogError>> {
        let found = self.find(tenant, config).await?;
        let (None, Some(provisioner)) = (&found, self.home.provisioner.load_full()) else { return Ok(found) };
        let Some(schema) = config.schemas.candidate(tenant) else { return Ok(None) };
        // Whoever has placed it elsewhere makes it there.
        if self.home.directory.look(&schema).await?.placement.is_some() {
            return Ok(None);
        }
        match provisioner.ensure(tenant, &schema).await {
            Some(true) => {
                self.home.directory.invalidate(&schema);
                self.find(tenant, config).await
            }
            _ => Ok(None),
        }
    }
}
