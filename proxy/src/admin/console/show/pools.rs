//! SHOW POOLS, DATABASES, USERS.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Shown, View, clusters, int4, text};
use crate::admin::console::table::{Cell, Row, flag};
use crate::clients::slot::{ClientSlot, Doing};
use crate::config::{Limit, PoolMode};
use crate::pool::fair::Status;
use crate::shared::cluster::Cluster;

pub(super) const POOLS: Shown = Shown::new(
    "POOLS",
    "each pool of servers: one for all tenants of a database, one for each tenant in the tier login",
    &[
        text("database"),
        text("user"),
        int4("cl_active"),
        int4("cl_waiting"),
        int4("cl_active_cancel_req"),
        int4("cl_waiting_cancel_req"),
        int4("sv_active"),
        int4("sv_active_cancel"),
        int4("sv_being_canceled"),
        int4("sv_idle"),
        int4("sv_used"),
        int4("sv_tested"),
        int4("sv_login"),
        int4("maxwait"),
        int4("maxwait_us"),
        text("pool_mode"),
        text("load_balance_hosts"),
    ],
    |shared, _| {
        let clients = shared.clients.all();
        clusters(shared).iter().flat_map(|cluster| pools(shared, cluster, &clients)).collect()
    },
);

pub(super) const DATABASES: Shown = Shown::new(
    "DATABASES",
    "each database of the configuration, on each of its clusters",
    &[
        text("name"),
        text("host"),
        int4("port"),
        text("database"),
        text("force_user"),
        int4("pool_size"),
        int4("min_pool_size"),
        int4("reserve_pool_size"),
        int4("server_lifetime"),
        text("pool_mode"),
        text("load_balance_hosts"),
        int4("max_connections"),
        int4("current_connections"),
        int4("max_client_connections"),
        int4("current_client_connections"),
        int4("paused"),
        int4("disabled"),
    ],
    |shared, _| {
        let clients = shared.clients.all();
        clusters(shared).iter().map(|cluster| database_of(shared, cluster, &clients)).collect()
    },
);

pub(super) const USERS: Shown = Shown::new(
    "USERS",
    "each user of the configuration",
    &[
        text("name"),
        text("pool_size"),
        text("reserve_pool_size"),
        text("pool_mode"),
        int4("max_user_connections"),
        int4("current_connections"),
        int4("max_user_client_connections"),
        int4("current_client_connections"),
    ],
    |shared, _| {
        let clients = shared.clients.all();
        shared.now.config.users.iter().map(|user| user_of(user, &clients)).collect()
    },
);

/// The pools that a database has, or that a client of it uses, by the role that their servers log in as.
pub(super) fn by_role(cluster: &Cluster, clients: &[Arc<ClientSlot>]) -> BTreeMap<String, Pool> {
    let shared_role = cluster.servers.role();
    let mut pools = BTreeMap::from([(shared_role.clone(), Pool::of(&cluster.servers))]);
    for servers in cluster.tenants.all() {
        pools.insert(servers.role(), Pool::of(&servers));
    }
    for client in clients.iter().filter(|client| works_on(client, cluster)) {
        let role = client.place().login.map_or_else(|| shared_role.clone(), |role| role.as_str().to_owned());
        pools.entry(role).or_default().note(client);
    }
    pools
}

/// Whether a client's tenant lives on the cluster.
fn works_on(client: &ClientSlot, cluster: &Cluster) -> bool {
    let is_elsewhere = cluster.on.as_ref().is_some_and(|on| !on.is_registry);
    let on = client.place().away;
    *client.who.database == *cluster.database() && on == is_elsewhere.then_some(cluster.id)
}

/// What is shown of one pool.
#[derive(Default)]
pub(super) struct Pool {
    status: Status,
    unchecked: usize,
    active: usize,
    waiting: usize,
    cancelling: usize,
    /// In microseconds.
    longest_wait: u64,
}

impl Pool {
    fn of(servers: &crate::pool::servers::Servers) -> Self {
        Self { status: servers.status(), unchecked: servers.unchecked(), ..Self::default() }
    }

    fn note(&mut self, client: &ClientSlot) {
        self.cancelling += usize::from(client.who.cancel.is_in_flight());
        match client.doing() {
            Doing::Waits => {
                self.waiting += 1;
                self.longest_wait = self.longest_wait.max(client.waited());
            }
            Doing::Works | Doing::Nothing => self.active += 1,
        }
    }
}

fn pools(shared: &View<'_>, handle: &Cluster, clients: &[Arc<ClientSlot>]) -> Vec<Row> {
    let mode = mode_in_words(shared.now.config.pool.mode);
    let shared_role = handle.servers.role();
    let row = |(role, pool): (String, Pool)| {
        // Those that are being made have a place already. Which pool they are for is known of the shared one alone.
        let connecting = match *role == *shared_role {
            true => handle.roster.connecting().min(pool.status.size.saturating_sub(pool.status.idle)),
            false => 0,
        };
        let active = pool.status.size.saturating_sub(pool.status.idle + connecting);
        vec![
            handle.name.as_str().into(),
            role.into(),
            pool.active.into(),
            pool.waiting.into(),
            pool.cancelling.into(),
            0u64.into(),
            active.into(),
            pool.cancelling.into(),
            0u64.into(),
            pool.status.idle.saturating_sub(pool.unchecked).into(),
            pool.unchecked.min(pool.status.idle).into(),
            0u64.into(),
            connecting.into(),
            (pool.longest_wait / 1_000_000).into(),
            (pool.longest_wait % 1_000_000).into(),
            mode.into(),
            Cell::Null,
        ]
    };
    by_role(handle, clients).into_iter().map(row).collect()
}

fn database_of(shared: &View<'_>, database: &Cluster, clients: &[Arc<ClientSlot>]) -> Row {
    let (target, kind) = (database.servers.target(), database.servers.kind());
    let pool = &kind.settings;
    let here = clients.iter().filter(|client| works_on(client, database)).count();
    vec![
        database.name.as_str().into(),
        target.config.host.as_str().into(),
        target.config.port.into(),
        target.name.as_str().into(),
        target.config.user.as_str().into(),
        pool.max_servers.into(),
        pool.min_servers.into(),
        0u64.into(),
        pool.max_lifetime.as_secs().into(),
        Cell::Null,
        Cell::Null,
        pool.max_servers.into(),
        database.roster.len().into(),
        shared.now.config.listen.max_clients.into(),
        here.into(),
        flag(database.gate.is_paused()),
        flag(database.gate.is_disabled()),
    ]
}

fn user_of(user: &crate::config::User, clients: &[Arc<ClientSlot>]) -> Row {
    let own = || clients.iter().filter(|client| client.who.user.name == user.name);
    let mode = user.rights.pool_mode.map_or(Cell::Null, |mode| mode_in_words(mode).into());
    let limit = |limit: &Option<Limit<usize>>| limit.as_ref().map_or(0, |limit| limit.value);
    vec![
        user.name.as_str().into(),
        "".into(),
        "".into(),
        mode,
        limit(&user.limits.max_servers).into(),
        own().filter(|client| client.server().is_some()).count().into(),
        limit(&user.limits.max_clients).into(),
        own().count().into(),
    ]
}

fn mode_in_words(mode: PoolMode) -> &'static str {
    match mode {
        PoolMode::Transaction => "transaction",
        PoolMode::Session => "session",
    }
}
