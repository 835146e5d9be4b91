//! SHOW LIMITS: each limit, and what is used of it.

use std::sync::atomic::Ordering;

use super::{Shown, View, databases, int8, numeric, text};
use crate::admin::console::table::{Cell, Row, text_or_null};
use crate::config::{TIMES, Time};
use crate::limits::{Budget, Holder, Kind};
use crate::shared::DatabaseHandle;
use crate::shared::cluster::Cluster;

pub(super) const LIMITS: Shown = Shown::new(
    "LIMITS",
    "each limit of the process, of databases, and of tenants and users with clients",
    &[
        text("name"),
        text("database"),
        int8("value"),
        int8("used"),
        text("of"),
        text("holder"),
        text("key"),
        numeric("limited"),
        text("unit"),
    ],
    |shared, _| {
        let mut rows = of_process(shared);
        for (name, database) in databases(shared) {
            for cluster in database.clusters() {
                rows.extend(of_pool(shared, &cluster, database));
            }
            for budget in database.budgets.used() {
                rows.extend(of_budget((name, database), &budget));
            }
        }
        rows
    },
);

/// A limit that stands under its own key.
fn plain(key: &str, database: Option<&str>, value: usize, used: usize) -> Row {
    let of = if database.is_some() { "database" } else { "process" };
    let (database, holder) = (text_or_null(database), text_or_null(database));
    let (value, used) = (value.into(), used.into());
    vec![key.into(), database, value, used, of.into(), holder, key.into(), Cell::Null, Cell::Null]
}

fn of_process(shared: &View<'_>) -> Vec<Row> {
    let listen = &shared.now.config.listen;
    let clients = shared.clients.all();
    let logged_in =
        clients.iter().filter(|client| shared.now.databases.contains_key(&*client.who.database)).count();
    let arriving = shared.clients.arriving();
    vec![
        plain("listen.max_clients", None, listen.max_clients, logged_in),
        plain("listen.max_unauthenticated", None, listen.max_unauthenticated, arriving),
    ]
}

fn of_pool(shared: &View<'_>, cluster: &Cluster, database: &DatabaseHandle) -> Vec<Row> {
    let pool = &shared.now.config.pool;
    let (status, own) = (cluster.servers.status(), cluster.tenants.usage());
    let pinned = database.pinned().load(Ordering::Relaxed);
    let (logins, name) = (cluster.roster.connecting(), Some(cluster.name.as_str()));
    vec![
        plain("pool.max_servers", name, cluster.servers.kind().settings.max_servers, status.size),
        plain("pool.max_tenant_servers", name, pool.max_tenant_servers, own.idle + own.active),
        plain("pool.max_pinned", name, pool.max_pinned, pinned),
        plain("pool.max_logins", name, pool.max_logins, logins),
    ]
}

fn of_budget((name, database): (&str, &DatabaseHandle), budget: &Budget) -> Vec<Row> {
    let used = |kind: Kind| match (kind, budget.holder()) {
        (Kind::Servers, Holder::Tenant(tenant)) => {
            database.clusters().iter().map(|cluster| cluster.servers.held(tenant)).sum()
        }
        (Kind::Servers, Holder::Database(_)) => {
            database.clusters().iter().map(|cluster| cluster.servers.status().size).sum()
        }
        _ => budget.used(kind),
    };
    let row = |kind: Kind| -> Option<Row> {
        let limit = budget.limit(kind)?;
        Some(vec![
            kind.as_str().into(),
            name.into(),
            limit.value.into(),
            used(kind).into(),
            budget.holder().level().into(),
            text_or_null(budget.holder().name()),
            (*limit.key).into(),
            budget.limited(kind).into(),
            Cell::Null,
        ])
    };
    let limits = budget.limits();
    let time = |(key, time): (&str, Time)| -> Option<Row> {
        let limit = time(&limits)?;
        Some(vec![
            key.into(),
            name.into(),
            u64::try_from(limit.value.as_millis()).unwrap_or(u64::MAX).into(),
            Cell::Null,
            budget.holder().level().into(),
            text_or_null(budget.holder().name()),
            (*limit.key).into(),
            Cell::Null,
            "ms".into(),
        ])
    };
    Kind::ALL.into_iter().filter_map(row).chain(TIMES.into_iter().filter_map(time)).collect()
}
