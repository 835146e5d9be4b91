//! SHOW CLIENTS, SERVERS, SOCKETS, ACTIVE_SOCKETS.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;

use super::{Shown, View, clusters, int4, text};
use crate::admin::console::table::{Cell, Row, moment, text_or_null};
use crate::clients::slot::{ClientSlot, Doing};
use crate::pool::roster::ServerSlot;
use crate::shared::cluster::Cluster;

/// What PgBouncer shows of a connection, and then what is more.
macro_rules! columns {
    ($($more:expr),*) => {
        &[
            text("type"), text("user"), text("database"), text("replication"), text("state"), text("addr"),
            int4("port"), text("local_addr"), int4("local_port"), text("connect_time"), text("request_time"),
            int4("wait"), int4("wait_us"), int4("close_needed"), text("ptr"), text("link"), int4("remote_pid"),
            text("tls"), text("application_name"), int4("prepared_statements"), int4("id"), $($more),*
        ]
    };
}

pub(super) const CLIENTS: Shown = Shown::new(
    "CLIENTS",
    "each logged-in client",
    columns![text("tenant"), text("transaction"), text("pins"), text("query")],
    |shared, _| shared.clients.all().iter().map(|client| client_of(shared, client)).collect(),
);

pub(super) const SERVERS: Shown = Shown::new(
    "SERVERS",
    "each connection to PostgreSQL",
    columns![text("tenant"), int4("client")],
    |shared, _| {
        let mut rows = Vec::new();
        each_server(shared, |database, server, client| {
            let state = if client.is_some() { "active" } else { "idle" };
            let mut row = common_of_server(database, server, state, client);
            row.extend([tenant_of(client), client.map_or(Cell::Null, |client| client.id.into())]);
            rows.push(row);
        });
        rows
    },
);

pub(super) const SOCKETS: Shown = Shown::new(
    "SOCKETS",
    "each client and each server, with PgBouncer's columns for its buffers",
    columns![
        int4("recv_pos"),
        int4("pkt_pos"),
        int4("pkt_remain"),
        int4("send_pos"),
        int4("send_remain"),
        int4("pkt_avail"),
        int4("send_avail")
    ],
    |shared, _| sockets(shared, false),
);

pub(super) const ACTIVE_SOCKETS: Shown = Shown {
    name: "ACTIVE_SOCKETS",
    about: "the same, those that are at work",
    rows: |shared, _| sockets(shared, true),
    ..SOCKETS
};

/// Where a client is, as a user of PgBouncer knows it.
fn state_of(client: &ClientSlot, prefixed: bool) -> &'static str {
    match (client.doing(), prefixed) {
        (Doing::Waits, false) => "waiting",
        (Doing::Waits, true) => "cl_waiting",
        (Doing::Works, false) => "active",
        (Doing::Nothing, false) => "idle",
        (Doing::Works | Doing::Nothing, true) => "cl_active",
    }
}

fn tenant_of(client: Option<&ClientSlot>) -> Cell {
    client.and_then(|client| client.place().tenant).map_or(Cell::Null, |tenant| Cell::from(&*tenant))
}

fn address(address: Option<SocketAddr>) -> [Cell; 2] {
    match address {
        Some(address) => [address.ip().to_string().into(), address.port().into()],
        None => ["unix".into(), 0u64.into()],
    }
}

fn common_of(client: &ClientSlot, state: &str) -> Row {
    let who = &client.who;
    let waited = client.waited();
    let link = client.server().map_or(String::new(), |server| format!("s{server}"));
    let mut row: Row =
        vec!["C".into(), who.user.name.as_str().into(), (*who.database).into(), "none".into(), state.into()];
    row.extend(address(who.peer.address()));
    row.extend(address(who.local));
    row.extend([
        moment(client.connected_at()),
        moment(client.requested_at()),
        (waited / 1_000_000).into(),
        (waited % 1_000_000).into(),
        0u64.into(),
        format!("c{}", client.id).into(),
        link.into(),
        0u64.into(),
        who.tls.as_deref().unwrap_or_default().into(),
        (*who.application).into(),
        client.prepared().into(),
        client.id.into(),
    ]);
    row
}

fn client_of(shared: &View<'_>, client: &ClientSlot) -> Row {
    let mut row = common_of(client, state_of(client, false));
    let transaction = match client.status() {
        'T' => "open",
        'E' => "failed",
        _ => "none",
    };
    let pins: Vec<_> = client.pins().into_iter().map(|reason| reason.as_str()).collect();
    row.extend([
        tenant_of(Some(client)),
        transaction.into(),
        pins.join(",").into(),
        query_of(shared, client),
    ]);
    row
}

/// The normalized statement of a client that has a server, where statistics have it.
fn query_of(shared: &View<'_>, client: &ClientSlot) -> Cell {
    let works = client.doing() == Doing::Works;
    let text = client
        .place()
        .tenant
        .filter(|_| works)
        .and_then(|tenant| shared.metrics.statements.text(&client.who.database, &tenant, client.form()));
    text_or_null(text.as_deref())
}

fn common_of_server(
    database: &Cluster,
    server: &ServerSlot,
    state: &str,
    client: Option<&ClientSlot>,
) -> Row {
    let name = database.name.as_str();
    let roster = &database.roster;
    let link = client.map_or(String::new(), |client| format!("c{}", client.id));
    let application = client.map_or("", |client| &client.who.application);
    let mut row: Row = vec!["S".into(), (*server.role).into(), name.into(), "none".into(), state.into()];
    row.extend(address(server.ends.peer));
    row.extend(address(server.ends.local));
    row.extend([
        moment(roster.born_at(server)),
        moment(roster.requested_at(server)),
        0u64.into(),
        0u64.into(),
        u64::from(roster.is_outdated(server)).into(),
        format!("s{}", server.id).into(),
        link.into(),
        u64::try_from(server.pid).unwrap_or_default().into(),
        server.ends.tls.as_deref().unwrap_or_default().into(),
        application.into(),
        server.prepared().into(),
        server.id.into(),
    ]);
    row
}

/// Calls `each` for each server, with the client that has it.
fn each_server(shared: &View<'_>, mut each: impl FnMut(&Cluster, &ServerSlot, Option<&ClientSlot>)) {
    let clients: HashMap<u64, Arc<ClientSlot>> =
        shared.clients.all().into_iter().filter_map(|client| Some((client.server()?, client))).collect();
    for cluster in clusters(shared) {
        for server in cluster.roster.all() {
            each(&cluster, &server, clients.get(&server.id).map(|client| &**client));
        }
    }
}

/// Clients and servers, those `at_work` or all, with what PgBouncer shows of its buffers: here these are the session's
/// own, and not looked into.
fn sockets(shared: &View<'_>, at_work: bool) -> Vec<Row> {
    let unknown = || std::iter::repeat_n(Cell::from(0u64), 7);
    let mut rows = Vec::new();
    for client in shared.clients.all() {
        if !at_work || client.doing() != Doing::Nothing {
            let mut row = common_of(&client, state_of(&client, true));
            row.extend(unknown());
            rows.push(row);
        }
    }
    each_server(shared, |database, server, client| {
        if !at_work || client.is_some() {
            let state = if client.is_some() { "sv_active" } else { "sv_idle" };
            let mut row = common_of_server(database, server, state, client);
            row.extend(unknown());
            rows.push(row);
        }
    });
    rows
}
