//! The tenant of a session, and the meaning of names for it.

use std::sync::Arc;

use pgstrata_tenancy::layers::{EntityMetadata, PUBLIC, Schema};
use pgstrata_tenancy::{RoleName, TenantId, comment, ident};
use tokio::time::Instant;

use super::path;
use super::standing::Served;
use crate::config::{Config, DynamicSql, Isolation, LimitTable, Mode, NoRole, Policy, TimeLimits};
use crate::limits::{Budget, Holder};
use crate::metrics::statements::Book;
use crate::metrics::tally::Tally;
use crate::pool::turns;
use crate::shared::DatabaseHandle;
use crate::shared::cluster::Cluster;
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
    pub(super) served: Served,
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
        let shown = path::shown(&home).map_or_else(|| Arc::clone(&home), Arc::from);
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

/// The basis of a session's scope: a tenancy's scope without a catalog, and the version of the catalog.
pub struct Basis {
    /// The scope of the tenancy.
    pub scope: Arc<Scope>,
    /// The catalog is the newest as long as its version is this one, and up to `until`.
    pub news: u64,
    /// See [`Basis::news`].
    pub until: Instant,
}

impl Basis {
    /// The basis for a tenancy whose catalog has not been requested.
    pub fn of(tenancy: &Tenancy) -> Self {
        Self { scope: Arc::clone(&tenancy.scope), news: 0, until: Instant::now() }
    }
}

/// The tenants of one session. They follow PostgreSQL's rules for settings.
pub struct Tenants {
    /// The tenant of the login, to which `RESET tenant` returns.
    login: Arc<Tenancy>,
    /// The tenant to which a rollback returns.
    committed: Arc<Tenancy>,
    /// The tenant behind the open transaction, if that is committed.
    session: Arc<Tenancy>,
    /// The current tenant.
    now: Arc<Tenancy>,
    /// The number of switches.
    changes: u64,
}

impl Tenants {
    /// For the tenant that the client named when it connected.
    pub fn new(login: Arc<Tenancy>) -> Self {
        let same = || Arc::clone(&login);
        Self { committed: same(), session: same(), now: same(), login, changes: 0 }
    }

    /// The current tenant.
    pub fn now(&self) -> &Arc<Tenancy> {
        &self.now
    }

    /// All tenants that may become current without a further command.
    pub fn all(&self) -> [&Arc<Tenancy>; 4] {
        [&self.login, &self.committed, &self.session, &self.now]
    }

    /// The tenant of the login.
    pub fn login(&self) -> &Arc<Tenancy> {
        &self.login
    }

    /// The number of switches so far: what was found out about a tenant holds as long as it stays the same.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// The names of the next messages are resolved for another tenant than those before.
    pub fn note_change(&mut self) {
        self.changes += 1;
    }

    /// `SET tenant`, or with `local` `SET LOCAL tenant`.
    pub fn set(&mut self, tenancy: Arc<Tenancy>, local: bool) {
        if !local {
            self.session = Arc::clone(&tenancy);
        }
        self.now = tenancy;
    }

    /// The end of the transaction was sent: the statements behind it are for the tenant that is current then.
    pub fn foresee_end(&mut self, rolls_back: bool) {
        self.now = Arc::clone(if rolls_back { &self.committed } else { &self.session });
    }

    /// Whether the tenant changes with the end of the transaction.
    pub fn ends(&self, rolls_back: bool) -> bool {
        !Arc::ptr_eq(&self.now, if rolls_back { &self.committed } else { &self.session })
    }

    /// Replaces `old` by `new` wherever it is current or may become so.
    pub fn replace(&mut self, old: &Arc<Tenancy>, new: &Arc<Tenancy>) {
        for held in [&mut self.login, &mut self.committed, &mut self.session, &mut self.now] {
            if Arc::ptr_eq(held, old) {
                *held = Arc::clone(new);
            }
        }
    }

    /// Makes `tenancy` current for the moment; returns the previous one.
    pub fn stand_in(&mut self, tenancy: Arc<Tenancy>) -> Arc<Tenancy> {
        std::mem::replace(&mut self.now, tenancy)
    }

    /// The transaction was committed.
    pub fn commit(&mut self) {
        if !Arc::ptr_eq(&self.now, &self.session) || !Arc::ptr_eq(&self.committed, &self.session) {
            self.now = Arc::clone(&self.session);
            self.committed = Arc::clone(&self.session);
        }
    }

    /// The transaction was rolled back.
    pub fn roll_back(&mut self) {
        if !Arc::ptr_eq(&self.now, &self.committed) || !Arc::ptr_eq(&self.committed, &self.session) {
            self.now = Arc::clone(&self.committed);
            self.session = Arc::clone(&self.committed);
        }
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
