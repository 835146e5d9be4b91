//! Which tenant a session works for, and what names mean for it.

use std::sync::Arc;
use std::time::Instant;

use pgstrata_tenancy::layers::{EntityMetadata, PUBLIC, Schema};
use pgstrata_tenancy::{RoleName, TenantId, ident};

use super::path;
use super::standing::Served;
use crate::config::{Config, DynamicSql, Isolation, Mode, NoRole, Policy, TimeLimits};
use crate::metrics::tally::Tally;
use crate::pool::turns;
use crate::shared::DatabaseHandle;
use crate::sql::guard::check;
use crate::sql::plan::SchemaRef;
use crate::sql::rewrite::Prefixes;
use crate::sql::scope::{Moved, Scope};

/// What names mean for one tenant, to users of one policy.
pub struct Tenancy {
    /// The tenant's rules, with no names in them.
    pub scope: Arc<Scope>,
    /// The tenant's path as [`ident::search_path`] writes it; empty where it is the one that
    /// servers are born with.
    pub home: Arc<str>,
    /// The same as PostgreSQL shows it, and takes it from `set_config`.
    pub shown: Arc<str>,
    /// The schemas of the scope as they stand in front of a name; see [`Prefixes`].
    pub prefixes: Prefixes,
    /// What PostgreSQL is told of the tenant.
    pub isolation: Isolation,
    /// Whose turn it is when its clients wait for a server.
    pub turn: turns::Tenant,
    /// When it was last known to be served.
    pub(super) served: Served,
    /// What is counted of the tenant; `None` where there is none.
    pub tally: Option<Arc<Tally>>,
    /// Its clients are held to its schemas: they are not where nothing is routed.
    confined: bool,
}

impl Tenancy {
    /// For `tenant`, whose schema is `schema`. The error: it can't have the role that its tier needs.
    pub fn new(
        tenant: Option<&TenantId>,
        schema: &str,
        policy: Policy,
        config: &Config,
        database: &DatabaseHandle,
    ) -> Result<Self, NoRole> {
        let (scope, isolation) = scope_of(tenant, schema, policy, config, database)?;
        // Where nothing is routed, PostgreSQL's own path is the one that clients know.
        let tenancy = Self::of(scope, &database.baseline, config.tenancy.mode == Mode::Route);
        let tally = tenant.map(|tenant| database.metrics.tally(&database.name, tenant.as_str()));
        Ok(Self { isolation, tally, ..tenancy })
    }

    /// For the tenant of `scope`, on servers that are born with the path `baseline`.
    pub fn of(scope: Scope, baseline: &str, confined: bool) -> Self {
        let path = ident::search_path(scope.path());
        let home: Arc<str> = if !confined || path == baseline { "".into() } else { path.into() };
        let shown = path::shown(&home).map_or_else(|| Arc::clone(&home), Arc::from);
        let prefixes = Prefixes::of(&scope);
        let (isolation, served) = (Isolation::Names, Served::default());
        let turn = scope.tenant.as_deref().map(Arc::from);
        Self { home, shown, prefixes, scope: Arc::new(scope), isolation, turn, served, tally: None, confined }
    }

    /// Whether SQL is read, routed and run for both in the same way: no client can tell them apart.
    pub fn means_the_same(&self, other: &Self) -> bool {
        self.scope.has_the_rules_of(&other.scope)
            && self.isolation == other.isolation
            && self.home == other.home
            && self.confined == other.confined
    }

    /// Whether its clients are held to its schemas.
    pub fn is_confined(&self) -> bool {
        self.confined
    }

    /// Whether a path stays within what this tenant may name; `path` as [`ident::search_path`] writes it.
    pub fn allows_path(&self, path: &str) -> bool {
        !self.confined
            || check::search_path(path)
                .is_some_and(|names| names.iter().all(|name| self.scope.may_be_on_path(name)))
    }
}

/// What a session's scope was made of: a tenancy's, with no names in it, and what is known of those.
pub struct Basis {
    /// The tenancy's.
    pub scope: Arc<Scope>,
    /// The names are the newest as long as the catalog has no other news, and until then.
    pub news: u64,
    /// See [`Basis::news`].
    pub until: Instant,
}

impl Basis {
    /// Of a tenancy whose names have not been asked for.
    pub fn of(tenancy: &Tenancy) -> Self {
        Self { scope: Arc::clone(&tenancy.scope), news: 0, until: Instant::now() }
    }
}

/// The tenants of one session: PostgreSQL's rule for settings, for one setting of ours.
pub struct Tenants {
    /// As of the login: what `RESET tenant` goes back to.
    login: Arc<Tenancy>,
    /// What a rollback brings back.
    committed: Arc<Tenancy>,
    /// What holds behind the open transaction, if that is committed.
    session: Arc<Tenancy>,
    /// What holds now.
    now: Arc<Tenancy>,
}

impl Tenants {
    /// The tenant that the client named when it connected.
    pub fn new(login: Arc<Tenancy>) -> Self {
        let same = || Arc::clone(&login);
        Self { committed: same(), session: same(), now: same(), login }
    }

    /// What holds now.
    pub fn now(&self) -> &Arc<Tenancy> {
        &self.now
    }

    /// All that may hold before the session says more.
    pub fn all(&self) -> [&Arc<Tenancy>; 4] {
        [&self.login, &self.committed, &self.session, &self.now]
    }

    /// That of the login.
    pub fn login(&self) -> &Arc<Tenancy> {
        &self.login
    }

    /// `SET tenant`, or with `local` `SET LOCAL tenant`.
    pub fn set(&mut self, tenancy: Arc<Tenancy>, local: bool) {
        if !local {
            self.session = Arc::clone(&tenancy);
        }
        self.now = tenancy;
    }

    /// The end of the transaction was sent: what stands behind it is for the tenant that holds then.
    pub fn foresee_end(&mut self, rolls_back: bool) {
        self.now = Arc::clone(if rolls_back { &self.committed } else { &self.session });
    }

    /// Whether the tenant changes with the end of the transaction.
    pub fn ends(&self, rolls_back: bool) -> bool {
        !Arc::ptr_eq(&self.now, if rolls_back { &self.committed } else { &self.session })
    }

    /// Lets `tenancy` hold for the moment; gives the one that held before.
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

/// The rules that a tenant's SQL is read by, with no names in them, and what PostgreSQL is told of it.
pub fn scope_of(
    tenant: Option<&TenantId>,
    schema: &str,
    policy: Policy,
    config: &Config,
    database: &DatabaseHandle,
) -> Result<(Scope, Isolation), NoRole> {
    let own = tenant.and_then(|tenant| config.tenants.get(tenant.as_str()));
    let target = database.servers.target();
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

/// Parameters that clients may not set, by each name that PostgreSQL takes for them.
fn locked(names: &[String]) -> Arc<[Box<str>]> {
    let former = |name: &str| match name {
        "work_mem" => Some("sort_mem"),
        "maintenance_work_mem" => Some("vacuum_mem"),
        _ => None,
    };
    let names = names.iter().map(|name| name.to_ascii_lowercase());
    names.flat_map(|name| former(&name).map(Into::into).into_iter().chain([name.into()])).collect()
}

/// The tables that are kept elsewhere for one tenant.
fn moved(tenant: Option<&TenantId>, schema: &str, config: &Config) -> Arc<[Moved]> {
    let schema_of = |entry: &EntityMetadata| match &entry.schema {
        Some(Schema::Named(shared)) if **shared != *schema => {
            let index = config.tenancy.shared_schemas.iter().position(|known| **known == **shared)?;
            u16::try_from(index).ok().map(SchemaRef::Shared)
        }
        _ => Some(SchemaRef::Tenant),
    };
    let moved = |(name, entry): (Arc<str>, Arc<EntityMetadata>)| Moved {
        // Config::load has checked that it is one of them; what is not is found nowhere, and refused.
        schema: schema_of(&entry).unwrap_or(SchemaRef::Shared(u16::MAX)),
        table: entry.table_name.as_deref().unwrap_or(&name).into(),
        name: (*name).into(),
    };
    // In the order of the names, as a map gives them.
    config.tables.search_in(tenant.map_or(PUBLIC, TenantId::as_str), "").into_iter().map(moved).collect()
}
