//! SHOW HELP, VERSION, STATE, LISTS, MEM.

use super::{ALL, Of, Shown, clusters, databases, int4, text};
use crate::admin::console::act;
use crate::admin::console::table::Row;
use crate::clients::slot::ClientSlot;

pub(super) const HELP: Shown =
    Shown::new("HELP", "each command", &[text("command"), text("meaning")], |_, _| {
        let shows = ALL.iter().map(|shown| {
            let name = match shown.of {
                Of::All => "",
                Of::One => " name",
                Of::OneOrAll => " [tenant]",
            };
            vec![format!("SHOW {}{name}", shown.name).into(), shown.about.into()]
        });
        let acts = act::HELP.iter().map(|(command, meaning)| vec![(*command).into(), (*meaning).into()]);
        shows.chain(acts).collect()
    });

/// The program and its version, as PgBouncer shows its own.
pub(super) const VERSION: Shown = Shown::new("VERSION", "the version", &[text("version")], |_, _| {
    vec![vec![format!("pgstrata {}", env!("CARGO_PKG_VERSION")).into()]]
});

pub(super) const STATE: Shown =
    Shown::new("STATE", "whether the databases are paused", &[text("key"), text("value")], |shared, _| {
        let all = clusters(shared);
        let paused = !all.is_empty() && all.iter().all(|cluster| cluster.gate.is_paused());
        let row = |key: &str, holds: bool| vec![key.into(), if holds { "yes" } else { "no" }.into()];
        vec![row("active", !paused), row("paused", paused), row("suspended", false)]
    });

pub(super) const LISTS: Shown = Shown::new(
    "LISTS",
    "the number of databases, users, pools, clients and servers",
    &[text("list"), int4("items")],
    |shared, _| {
        let clients = shared.clients.all();
        let all = clusters(shared);
        let pools: usize = all.iter().map(|cluster| super::pools::by_role(cluster, &clients).len()).sum();
        let servers: usize = all.iter().map(|cluster| cluster.roster.len()).sum();
        let lists = [
            ("databases", databases(shared).len()),
            ("users", shared.now.config.users.len()),
            ("peers", 0),
            ("pools", pools),
            ("peer_pools", 0),
            ("free_clients", 0),
            ("used_clients", clients.len()),
            ("login_clients", shared.clients.arriving()),
            ("free_servers", 0),
            ("used_servers", servers),
            ("dns_names", 0),
            ("dns_zones", 0),
            ("dns_queries", 0),
            ("dns_pending", 0),
        ];
        lists.into_iter().map(|(list, items)| vec![list.into(), items.into()]).collect()
    },
);

pub(super) const MEM: Shown = Shown::new(
    "MEM",
    "the memory of some parts, in bytes",
    &[text("name"), int4("size"), int4("used"), int4("free"), int4("memtotal")],
    |shared, _| {
        let part = |name: &str, size: usize, used: usize, total: usize| -> Row {
            vec![name.into(), size.into(), used.into(), 0u64.into(), total.into()]
        };
        let (clients, slot) = (shared.clients.len(), size_of::<ClientSlot>());
        let plans = shared.engine.stats();
        let (statements, texts) = shared.store.weight();
        vec![
            part("client_slots", slot, clients, clients.saturating_mul(slot)),
            part("plan_cache", 0, plans.plans, usize::try_from(plans.bytes).unwrap_or(usize::MAX)),
            part("prepared_statements", 0, statements, texts),
        ]
    },
);
