//! The health of the proxy in one answer: `/api/v1/health`.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Context;
use super::api::{as_json, value};
use super::console::table::moment;
use super::readiness::Verdict;
use crate::clients::slot::Doing;
use crate::shared::Shared;
use crate::shared::cluster::Cluster;
use crate::shared::snapshot::Snapshot;

/// The clients of one database.
#[derive(Clone, Copy, Default)]
struct Own {
    clients: usize,
    waiting: usize,
    /// In microseconds.
    longest_wait: u64,
}

/// The version, the time of the start, the databases with their pools, the last reload, and the expiry times of
/// certificates.
pub(super) async fn health(State(context): State<Context>) -> Response {
    let reached = context.readiness.each(&context.shared).await;
    as_json(StatusCode::OK, &of(&context.shared, &reached))
}

fn of(shared: &Shared, reached: &Verdict) -> Value {
    let now = shared.current();
    let own = by_database(shared);
    let databases = now.clusters().into_iter().map(|cluster| {
        let own = own.get(cluster.name.as_str()).copied().unwrap_or_default();
        let pinned = now.databases.get(&cluster.name).map_or(0, |own| own.pinned().load(Ordering::Relaxed));
        database_of(&now, &cluster, (own, pinned), reached.get(&cluster.name).copied())
    });
    let seconds =
        |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let reload = shared.metrics.last_reload();
    let reload = reload.map(|(at, well)| json!({ "time": value(&moment(at)), "succeeded": well }));
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "now": seconds(SystemTime::now()),
        "uptime": shared.clients.origin().micros(Instant::now()) / 1_000_000,
        "last_reload": reload,
        "certificates": now.config.certificates,
        "databases": databases.collect::<Vec<_>>(),
    })
}

fn by_database(shared: &Shared) -> HashMap<Box<str>, Own> {
    let mut all: HashMap<Box<str>, Own> = HashMap::new();
    for client in shared.clients.all() {
        let own = all.entry(client.who.database.clone()).or_default();
        own.clients += 1;
        if client.doing() == Doing::Waits {
            own.waiting += 1;
            own.longest_wait = own.longest_wait.max(client.waited());
        }
    }
    all
}

/// `reachable` is NULL for a database that was not tried yet.
fn database_of(
    now: &Snapshot,
    database: &Cluster,
    (own, pinned): (Own, usize),
    reachable: Option<bool>,
) -> Value {
    let (status, tenants) = (database.servers.status(), database.tenants.usage());
    let connecting = database.roster.connecting().min(status.size.saturating_sub(status.idle));
    json!({
        "name": database.name,
        "reachable": reachable,
        "paused": database.gate.is_paused(),
        "disabled": database.gate.is_disabled(),
        "clients": own.clients,
        "waiting": own.waiting,
        "longest_wait": own.longest_wait,
        "pinned": pinned,
        "idle": status.idle,
        "active": status.size.saturating_sub(status.idle + connecting),
        "connecting": connecting,
        "limit": now.config.pool_of(&database.name).max_servers,
        "tenant_pools": tenants.pools,
        "tenant_servers": tenants.idle + tenants.active,
    })
}
