//! SHOW TENANTS, TENANT, ROUTES, LOCKED: tenants as this process knows them. Those that nobody has asked for since the
//! start are not among them.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Shown, View, clusters, databases, int4, numeric, text};
use crate::admin::console::table::{Cell, Row, text_or_null};
use crate::clients::slot::Doing;
use crate::metrics::tally::TenantSums;
use crate::shared::DatabaseHandle;
use crate::shared::tenancy::Tenancy;
use crate::tenant::connect::tenant_of;

pub(super) const TENANTS: Shown = Shown::new(
    "TENANTS",
    "each tenant that has had a client",
    &[
        text("database"),
        text("tenant"),
        text("state"),
        int4("clients"),
        int4("active"),
        int4("waiting"),
        numeric("requests"),
        numeric("errors"),
        numeric("refused"),
        numeric("query_time"),
        numeric("wait_time"),
        numeric("bytes_received"),
        numeric("bytes_sent"),
        numeric("p99_time"),
    ],
    |shared, _| {
        let clients = by_tenant(shared);
        let states = states(shared);
        let row = |(database, tenant, sums): (Box<str>, Box<str>, TenantSums)| -> Row {
            let key = (database, tenant);
            let own = clients.get(&key).copied().unwrap_or_default();
            let state = states.get(&key).copied().unwrap_or("unknown");
            vec![
                (*key.0).into(),
                (*key.1).into(),
                state.into(),
                own.clients.into(),
                own.active.into(),
                own.waiting.into(),
                sums.requests.into(),
                sums.errors.into(),
                sums.refused.into(),
                (sums.query / 1000).into(),
                (sums.wait / 1000).into(),
                sums.sent.into(),
                sums.received.into(),
                (sums.p99 / 1000).into(),
            ]
        };
        shared.metrics.tenants_seen().into_iter().map(row).collect()
    },
);

pub(super) const TENANT: Shown = Shown::new(
    "TENANT",
    "one tenant, by its name",
    &[text("database"), text("key"), text("value")],
    |shared, name| databases(shared).into_iter().flat_map(|database| one(shared, database, name)).collect(),
)
.of_one();

pub(super) const ROUTES: Shown = Shown::new(
    "ROUTES",
    "each tenant's schema, strategy, tier and role",
    &[
        text("database"),
        text("tenant"),
        text("schema"),
        text("strategy"),
        text("tier"),
        text("role"),
        text("search_path"),
    ],
    |shared, _| {
        let mut rows = Vec::new();
        for (name, database) in databases(shared) {
            for tenancy in routes(database) {
                rows.push(vec![
                    name.into(),
                    text_or_null(tenancy.scope.tenant.as_deref()),
                    (*tenancy.scope.schema).into(),
                    tenancy.scope.strategy.as_str().into(),
                    tenancy.isolation.tier().as_str().into(),
                    (*tenancy.scope.role).into(),
                    (*tenancy.home).into(),
                ]);
            }
        }
        rows
    },
);

pub(super) const LOCKED: Shown = Shown::new(
    "LOCKED",
    "each tenant that is not served now, if a client has named it",
    &[text("database"), text("tenant"), text("schema"), text("state")],
    |shared, _| {
        let mut rows = Vec::new();
        for cluster in clusters(shared) {
            for (schema, state) in cluster.directory.known_states() {
                if state.is_some_and(|state| state != pgstrata_control::registry::State::Active) {
                    let tenant = tenant_of(&shared.now.config, &schema);
                    let state = state.map_or(Cell::Null, |state| state.as_str().into());
                    rows.push(vec![cluster.name.as_str().into(), tenant.into(), (*schema).into(), state]);
                }
            }
        }
        rows
    },
);

/// Database and tenant.
type Key = (Box<str>, Box<str>);

/// The clients of one tenant.
#[derive(Clone, Copy, Default)]
struct Own {
    clients: usize,
    active: usize,
    waiting: usize,
}

fn by_tenant(shared: &View<'_>) -> HashMap<Key, Own> {
    let mut all: HashMap<Key, Own> = HashMap::new();
    for client in shared.clients.all() {
        let Some(tenant) = client.place().tenant else { continue };
        let own = all.entry((client.who.database.clone(), (*tenant).into())).or_default();
        own.clients += 1;
        match client.doing() {
            Doing::Works => own.active += 1,
            Doing::Waits => own.waiting += 1,
            Doing::Nothing => {}
        }
    }
    all
}

/// How tenants fare, as it was last seen.
fn states(shared: &View<'_>) -> HashMap<Key, &'static str> {
    let mut all = HashMap::new();
    for cluster in clusters(shared) {
        for (schema, state) in cluster.directory.known_states() {
            let key = (cluster.database().into(), tenant_of(&shared.now.config, &schema).into());
            // It may live on another cluster.
            let entry = all.entry(key).or_insert("gone");
            if let Some(state) = state {
                *entry = state.as_str();
            }
        }
    }
    all
}

/// The tenants' ways, each once whatever its users may do, in the order of their names.
fn routes(database: &DatabaseHandle) -> Vec<Arc<Tenancy>> {
    let mut all = database.known_tenancies();
    all.sort_by(|one, other| one.scope.tenant.cmp(&other.scope.tenant));
    all.dedup_by(|one, other| one.scope.tenant == other.scope.tenant);
    all
}

fn one(shared: &View<'_>, (name, database): (&str, &DatabaseHandle), tenant: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    let mut put = |key: &str, value: Cell| rows.push(vec![name.into(), key.into(), value]);
    let is_it = |known: Option<&str>| known == Some(tenant);
    if let Some(way) = routes(database).iter().find(|way| is_it(way.scope.tenant.as_deref())) {
        put("schema", (*way.scope.schema).into());
        put("strategy", way.scope.strategy.as_str().into());
        put("tier", way.isolation.tier().as_str().into());
        put("role", (*way.scope.role).into());
    }
    let key: Key = (name.into(), tenant.into());
    if let Some(state) = states(shared).get(&key) {
        put("state", (*state).into());
    }
    let seen = shared.metrics.tenants_seen();
    if let Some((.., sums)) = seen.into_iter().find(|(of, who, _)| **of == *name && **who == *tenant) {
        let own = by_tenant(shared).get(&key).copied().unwrap_or_default();
        for (key, value) in [
            ("clients", own.clients as u64),
            ("active", own.active as u64),
            ("waiting", own.waiting as u64),
            ("requests", sums.requests),
            ("round_trips", sums.round_trips),
            ("saved_round_trips", sums.saved),
            ("errors", sums.errors),
            ("refused", sums.refused),
            ("query_time", sums.query / 1000),
            ("p99_time", sums.p99 / 1000),
            ("wait_time", sums.wait / 1000),
            ("bytes_received", sums.sent),
            ("bytes_sent", sums.received),
        ] {
            put(key, value.to_string().into());
        }
    }
    rows
}
