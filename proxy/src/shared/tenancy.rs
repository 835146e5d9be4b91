//! The meaning of names for one tenant.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pgstrata_tenancy::layers::{EntityMetadata, PUBLIC, Schema};
use pgstrata_tenancy::{RoleName, TenantId, comment, ident};

use super::DatabaseHandle;
use super::cluster::Cluster;
use crate::catalog::TenantDirectory;
use crate::config::{Config, DynamicSql, Isolation, LimitTable, Mode, NoRole, Policy, TimeLimits};
use crate::limits::{Budget, Holder};
use crate::metrics::statements::Book;
use crate::metrics::tally::Tally;
use crate::pool::turns;
use crate::search_path;
use crate::sql::guard::check;
use crate::sql::level::Level;
use crate::sql::plan::SchemaRef;
use crate::sql::rewrite::Prefixes;
use crate::sql::scope::{Moved, Scope};

/// The meaning of names for one tenant, and for users with one policy.
pub struct Tenancy {
    /// The tenant's scope, without a catalog.
    pub scope: Arc<Scope>,
    /// The tenant's path in the form of [`ident::search_path`]; empty if it equals the baseline.
    pub home: Arc<str>,
    /// The same path in the form of `SHOW` and `set_config`.
    pub shown: Arc<str>,
    /// The schemas of the scope as prefixes of names; see [`Prefixes`].
    pub prefixes: Prefixes,
    /// The tier, with the tenant's role.
    pub isolation: Isolation,
    /// The tenant in the order of turns.
    pub turn: turns::Tenant,
    /// The time at which it was last known to be served.
    pub served: Served,
    /// Its budget.
    pub budget: Arc<Budget>,
    /// The comment in front of its texts; empty if there is none.
    pub comment: Box<str>,
    /// The tenant's counters; `None` for clients without a tenant.
    pub tally: Option<Arc<Tally>>,
    /// The statistics of its statements, likewise.
    pub book: Option<Arc<Book>>,
    /// Its clients are restricted to its schemas; they are not in observe mode.
    confined: bool,
    /// The cluster of the tenant; `None`: the registry's cluster, or the only one.
    pub away: Option<Arc<Cluster>>,
}

impl Tenancy {
    /// For `tenant` with the schema `schema` on this cluster of the database. The error: it cannot have the role that
    /// its tier needs.
    pub fn new(
        tenant: Option<&TenantId>,
        schema: &str,
        policy: Policy,
        config: &Config,
        (database, cluster): (&DatabaseHandle, &Arc<Cluster>),
    ) -> Result<Self, NoRole> {
        let (scope, isolation) = scope_of(tenant, schema, policy, config, cluster)?;
        // In observe mode, clients have PostgreSQL's own path.
        let tenancy = Self::of(scope, &cluster.baseline, config.tenancy.mode == Mode::Route);
        let tally = tenant.map(|tenant| database.metrics.tally(&database.name, tenant.as_str()));
        let statements = &database.metrics.statements;
        let book = tenant.map(|tenant| statements.book(&database.name, tenant.as_str()));
        let budget = database.budgets.of_tenant(&tenancy.turn);
        let away = (cluster.id != database.home.id).then(|| Arc::clone(cluster));
        Ok(Self { isolation, tally, book, budget, away, ..tenancy })
    }

    /// For the tenant of `scope`, on servers with the path `baseline`.
    pub fn of(scope: Scope, baseline: &str, confined: bool) -> Self {
        let path = ident::search_path(scope.path());
        let home: Arc<str> = if !confined || path == baseline { "".into() } else { path.into() };
        let shown = search_path::shown(&home).map_or_else(|| Arc::clone(&home), Arc::from);
        let prefixes = Prefixes::of(&scope);
        let (isolation, served) = (Isolation::Names, Served::default());
        let turn: turns::Tenant = scope.tenant.as_deref().map(Arc::from);
        let budget = Budget::new(Holder::Tenant(turn.clone()), LimitTable::default());
        let comment = scope.tenant.as_deref().map(comment::of).unwrap_or_default().into();
        let scope = Arc::new(scope);
        Self {
            comment,
            home,
            shown,
            prefixes,
            scope,
            isolation,
            turn,
            served,
            budget,
            tally: None,
            book: None,
            confined,
            away: None,
        }
    }

    /// Whether SQL is read, routed and run in the same way for both, so that clients notice no difference.
    pub fn means_the_same(&self, other: &Self) -> bool {
        self.scope.has_the_rules_of(&other.scope)
            && self.isolation == other.isolation
            && self.home == other.home
            && self.confined == other.confined
    }

    /// Whether its clients are restricted to its schemas.
    pub fn is_confined(&self) -> bool {
        self.confined
    }

    /// Whether a path has only schemas that this tenant may name; `path` in the form of [`ident::search_path`].
    pub fn allows_path(&self, path: &str) -> bool {
        !self.confined
            || check::search_path(path)
                .is_some_and(|names| names.iter().all(|name| self.scope.may_be_on_path(name)))
    }
}

/// The time at which a tenant was last known to be served; shared by all of its sessions.
#[derive(Debug, Default)]
pub struct Served {
    /// [`TenantDirectory::changes`] at that time; 0: never.
    changes: AtomicU64,
    /// [`DatabaseHandle::epoch`] at that time.
    epoch: AtomicU64,
}

impl Served {
    /// Whether there was no change since.
    #[inline]
    pub fn holds(&self, directory: &TenantDirectory) -> bool {
        self.changes.load(Ordering::Relaxed) == directory.changes()
    }

    /// Whether there was no change of this tenant since.
    #[cold]
    pub fn still_holds(&self, directory: &TenantDirectory, epoch: impl FnOnce() -> u64) -> bool {
        // In this order: a change meanwhile makes the first value outdated.
        let changes = directory.changes();
        let same = self.changes.load(Ordering::Relaxed) != 0 && self.epoch.load(Ordering::Relaxed) == epoch();
        if same {
            self.changes.store(changes, Ordering::Relaxed);
        }
        same
    }

    /// Records that the tenant is served, by a lookup that began at that time.
    pub fn note(&self, changes: u64, epoch: u64) {
        self.epoch.store(epoch, Ordering::Relaxed);
        self.changes.store(changes, Ordering::Relaxed);
    }
}

/// The scope of a tenant without a catalog, and its tier and role.
pub fn scope_of(
    tenant: Option<&TenantId>,
    schema: &str,
    policy: Policy,
    config: &Config,
    cluster: &Cluster,
) -> Result<(Scope, Isolation), NoRole> {
    let own = tenant.and_then(|tenant| config.tenants.get(tenant.as_str()));
    let target = cluster.servers.target();
    let servers_role = target.config.user.as_str();
    let isolation = config.isolation(tenant.map(TenantId::as_str), schema, servers_role)?;
    let scope = Scope {
        tenant: tenant.map(|tenant| tenant.as_str().into()),
        schema: schema.into(),
        shared: config.tenancy.shared_schemas.iter().map(|schema| schema.as_str().into()).collect(),
        database: target.name.as_str().into(),
        role: isolation.role().map_or(servers_role, RoleName::as_str).into(),
        strategy: own.and_then(|tenant| tenant.strategy).unwrap_or(config.tenancy.strategy),
        dynamic_sql: policy.dynamic_sql == DynamicSql::Allow,
        large_objects: policy.large_objects && policy.statements > Level::Read,
        statements: policy.statements,
        shared_writes: config.tenancy.shared_writes,
        moved: moved(tenant, schema, config),
        hide_others: config.tenancy.hide_other_tenants,
        keys: config.tenancy.keys,
        names: None,
        trusted_functions: config.tenancy.trusted_functions.iter().map(|name| name.as_str().into()).collect(),
        functions: None,
        locked_settings: locked(&config.tenancy.locked_settings),
        limits_time: policy.time_limits.unwrap_or(config.tenancy.time_limits) == TimeLimits::Bounded,
    };
    Ok((scope, isolation))
}

/// Parameters that clients may not set, by each name that PostgreSQL accepts for them.
fn locked(names: &[String]) -> Arc<[Box<str>]> {
    let former = |name: &str| match name {
        "work_mem" => Some("sort_mem"),
        "maintenance_work_mem" => Some("vacuum_mem"),
        _ => None,
    };
    let names = names.iter().map(|name| name.to_ascii_lowercase());
    names.flat_map(|name| former(&name).map(Into::into).into_iter().chain([name.into()])).collect()
}

/// The remapped tables of one tenant.
fn moved(tenant: Option<&TenantId>, schema: &str, config: &Config) -> Arc<[Moved]> {
    let schema_of = |entry: &EntityMetadata| match &entry.schema {
        Some(Schema::Named(shared)) if **shared != *schema => {
            let index = config.tenancy.shared_schemas.iter().position(|known| **known == **shared)?;
            u16::try_from(index).ok().map(SchemaRef::Shared)
        }
        _ => Some(SchemaRef::Tenant),
    };
    let moved = |(name, entry): (Arc<str>, Arc<EntityMetadata>)| Moved {
        // Config::load has checked that it is one of them; an unknown one is found nowhere, and refused.
        schema: schema_of(&entry).unwrap_or(SchemaRef::Shared(u16::MAX)),
        table: entry.table_name.as_deref().unwrap_or(&name).into(),
        name: (*name).into(),
    };
    // In the order of the names, as in a map.
    config.tables.search_in(tenant.map_or(PUBLIC, TenantId::as_str), "").into_iter().map(moved).collect()
}
