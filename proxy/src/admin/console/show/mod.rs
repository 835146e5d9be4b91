//! What the console shows: each table with its columns, its rows, and what it is about.
//!
//! Those that PgBouncer has have its columns, in its order and of its types, so that tools that read them need no change.
//!
//! # Layout
//! - [`sockets`]: CLIENTS, SERVERS, SOCKETS, ACTIVE_SOCKETS.
//! - [`pools`]: POOLS, DATABASES, USERS.
//! - [`stats`]: STATS, STATS_TOTALS, STATS_AVERAGES, TOTALS.
//! - [`config`]: CONFIG. [`state`]: VERSION, STATE, LISTS, MEM, HELP.
//! - [`absent`]: what the proxy does not have: PEERS, DNS_HOSTS, FDS and the like.
//! - [`tenants`]: TENANTS, TENANT, ROUTES, LOCKED. [`sessions`]: PINS, PREPARED, PLANS. [`limits`]: LIMITS.
//! - [`statements`]: STATEMENTS. [`refusals`]: REFUSALS.

mod absent;
mod config;
mod limits;
mod pools;
mod refusals;
mod sessions;
mod sockets;
mod state;
mod statements;
mod stats;
mod tenants;

pub use statements::MOST as MOST_STATEMENTS;

use std::ops::Deref;

use super::table::{Column, Row, Table, Type};
use std::sync::Arc;

use crate::shared::cluster::Cluster;
use crate::shared::snapshot::Snapshot;
use crate::shared::{DatabaseHandle, Shared};

/// A table that can be shown.
pub struct Shown {
    /// Its name behind `SHOW`, in upper case.
    pub name: &'static str,
    /// What it has a row for.
    pub about: &'static str,
    /// Its columns.
    pub columns: &'static [Column],
    /// Whether it is of one thing, whose name stands behind its own.
    pub of: Of,
    /// It has what users may have written into their statements.
    pub for_admins: bool,
    rows: fn(&View<'_>, &str) -> Vec<Row>,
}

/// What a table is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    /// All that there is.
    All,
    /// One thing.
    One,
    /// One tenant, or all of them.
    OneOrAll,
}

/// What a table is made of. All of its rows go by the same configuration.
struct View<'a> {
    shared: &'a Shared,
    now: &'a Snapshot,
}

impl Deref for View<'_> {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        self.shared
    }
}

/// All that can be shown, in the order of SHOW HELP.
pub static ALL: &[&Shown] = &[
    &state::HELP,
    &state::VERSION,
    &config::CONFIG,
    &pools::DATABASES,
    &pools::POOLS,
    &sockets::CLIENTS,
    &sockets::SERVERS,
    &pools::USERS,
    &stats::STATS,
    &stats::STATS_TOTALS,
    &stats::STATS_AVERAGES,
    &stats::TOTALS,
    &state::LISTS,
    &state::MEM,
    &state::STATE,
    &sockets::SOCKETS,
    &sockets::ACTIVE_SOCKETS,
    &absent::PEERS,
    &absent::PEER_POOLS,
    &absent::DNS_HOSTS,
    &absent::DNS_ZONES,
    &absent::FDS,
    &tenants::TENANTS,
    &tenants::TENANT,
    &tenants::ROUTES,
    &tenants::LOCKED,
    &statements::STATEMENTS,
    &refusals::REFUSALS,
    &limits::LIMITS,
    &sessions::PINS,
    &sessions::PLANS,
    &sessions::PREPARED,
];

/// The table of that name, in any case.
pub fn find(name: &str) -> Option<&'static Shown> {
    ALL.iter().copied().find(|shown| shown.name.eq_ignore_ascii_case(name))
}

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

impl Shown {
    const fn new(
        name: &'static str,
        about: &'static str,
        columns: &'static [Column],
        rows: fn(&View<'_>, &str) -> Vec<Row>,
    ) -> Self {
        Self { name, about, columns, of: Of::All, for_admins: false, rows }
    }

    const fn of_one(self) -> Self {
        Self { of: Of::One, ..self }
    }

    const fn of_one_or_all(self) -> Self {
        Self { of: Of::OneOrAll, ..self }
    }

    const fn for_admins(self) -> Self {
        Self { for_admins: true, ..self }
    }

    /// The table as it is now; `one`: the name of what it is of, where it is of one thing.
    pub fn table(&self, shared: &Shared, one: &str) -> Table {
        let rows = (self.rows)(&View { shared, now: &shared.current() }, one);
        debug_assert!(rows.iter().all(|row| row.len() == self.columns.len()), "SHOW {}", self.name);
        Table { columns: self.columns, rows }
    }
}

/// A column of type text, and so on: the types that PgBouncer's tables have.
const fn text(name: &'static str) -> Column {
    Column(name, Type::Text)
}

const fn int4(name: &'static str) -> Column {
    Column(name, Type::Int4)
}

const fn int8(name: &'static str) -> Column {
    Column(name, Type::Int8)
}

const fn numeric(name: &'static str) -> Column {
    Column(name, Type::Numeric)
}

const fn bytea(name: &'static str) -> Column {
    Column(name, Type::Bytea)
}

/// The databases by their names, in that order.
fn databases<'a>(shared: &View<'a>) -> Vec<(&'a str, &'a DatabaseHandle)> {
    let mut all: Vec<_> =
        shared.now.databases.iter().map(|(name, database)| (name.as_str(), &**database)).collect();
    all.sort_unstable_by_key(|(name, _)| *name);
    all
}

/// What the databases have on each of their clusters, in the order of the names.
fn clusters(shared: &View<'_>) -> Vec<Arc<Cluster>> {
    shared.now.clusters()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_in_upper_case_and_there_once() {
        let names: BTreeSet<_> = ALL.iter().map(|shown| shown.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(ALL.iter().all(|shown| shown.name == shown.name.to_ascii_uppercase()));
        assert!(find("pools").is_some() && find("Pool").is_none());
    }

    #[test]
    fn columns_of_a_table_are_there_once() {
        for shown in ALL {
            let names: BTreeSet<_> = shown.columns.iter().map(|Column(name, _)| *name).collect();
            assert_eq!(names.len(), shown.columns.len(), "SHOW {}", shown.name);
        }
    }
}
