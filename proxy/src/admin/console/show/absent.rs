//! Tables of PgBouncer without an equivalent: its columns and no rows, for tools that read them.

use super::{Shown, View, bytea, int4, int8, text};
use crate::admin::console::table::Row;

/// No rows.
fn none(_: &View<'_>, _: &str) -> Vec<Row> {
    Vec::new()
}

pub(super) const PEERS: Shown = Shown::new(
    "PEERS",
    "nothing: there are no peers",
    &[int4("peer_id"), text("host"), int4("port"), int4("pool_size")],
    none,
);

pub(super) const PEER_POOLS: Shown = Shown::new(
    "PEER_POOLS",
    "nothing: there are no peers",
    &[
        int4("peer_id"),
        int4("cl_active_cancel_req"),
        int4("cl_waiting_cancel_req"),
        int4("sv_active_cancel"),
        int4("sv_login"),
    ],
    none,
);

pub(super) const DNS_HOSTS: Shown = Shown::new(
    "DNS_HOSTS",
    "nothing: the system resolves names, each time",
    &[text("hostname"), int8("ttl"), text("addrs")],
    none,
);

pub(super) const DNS_ZONES: Shown = Shown::new(
    "DNS_ZONES",
    "nothing: the system resolves names, each time",
    &[text("zonename"), int8("serial"), int4("count")],
    none,
);

pub(super) const FDS: Shown = Shown::new(
    "FDS",
    "nothing: sockets are handed over by SIGUSR2, not by the console",
    &[
        int4("fd"),
        text("task"),
        text("user"),
        text("database"),
        text("addr"),
        int4("port"),
        int8("cancel"),
        int4("link"),
        text("client_encoding"),
        text("std_strings"),
        text("datestyle"),
        text("timezone"),
        text("password"),
        bytea("scram_client_key"),
        bytea("scram_server_key"),
    ],
    none,
)
.for_admins();
