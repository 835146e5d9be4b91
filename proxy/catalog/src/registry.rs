//! The registry of tenants, where a database has one: the table of the crate pgstrata-control that
//! says the state of each schema.

use std::sync::atomic::{AtomicU8, Ordering};

use pgstrata_control::registry::{State, reading_grants};
use tokio_postgres::error::SqlState;

use super::control::{CatalogError, Control};

/// Whether the registry can be read: no row's value is null where there is none. Asks the catalog, as
/// asking the registry itself would be an error.
const READABLE: &str = "\
(SELECT pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_table_privilege(c.oid, 'SELECT')
 FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid
 WHERE n.nspname OPERATOR(pg_catalog.=) 'pgstrata_control'::pg_catalog.name
   AND c.relname OPERATOR(pg_catalog.=) 'schemas'::pg_catalog.name)";

/// The same of a registry that says where tenants live, too: that has two tables.
const PLACEMENTS_READABLE: &str = "\
(SELECT pg_catalog.bool_and(pg_catalog.has_schema_privilege(n.oid, 'USAGE')
   AND pg_catalog.has_table_privilege(c.oid, 'SELECT'))
 FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON c.relnamespace OPERATOR(pg_catalog.=) n.oid
 WHERE n.nspname OPERATOR(pg_catalog.=) 'pgstrata_control'::pg_catalog.name
   AND c.relname OPERATOR(pg_catalog.=) ANY (ARRAY['schemas', 'placements']::pg_catalog.name[])
 HAVING pg_catalog.count(*) OPERATOR(pg_catalog.=) 2)";

/// Whether there is a registry, as of the last time that somebody asked.
#[derive(Debug)]
pub struct Registry {
    database: String,
    /// Who reads it.
    role: String,
    /// It says where tenants live: of a database that is on several clusters.
    places: bool,
    seen: AtomicU8,
}

/// What was seen of it; as numbers, as they stand in the atomic.
const UNKNOWN: u8 = 0;
const MISSING: u8 = 1;
const UNREADABLE: u8 = 2;
const READABLE_NOW: u8 = 3;

impl Registry {
    /// That of the database of `control`; nothing is known of it yet. `places`: it says where tenants live.
    pub(super) fn new(control: &Control, places: bool) -> Self {
        let (database, role) = (control.name().to_owned(), control.role().to_owned());
        Self { database, role, places, seen: AtomicU8::new(UNKNOWN) }
    }

    /// Whether it says where tenants live. Then nobody is served without it.
    pub(super) fn places(&self) -> bool {
        self.places
    }

    /// Asks whether it can be read: null where there is none.
    pub(super) fn question(&self) -> &'static str {
        if self.places { PLACEMENTS_READABLE } else { READABLE }
    }

    /// What an administrator can do so that it can be read.
    pub(super) fn mend(&self) -> String {
        match self.seen.load(Ordering::Relaxed) {
            UNREADABLE => format!("run as its owner: {}", reading_grants(&self.role)),
            _ => "run `pgstrata tenant list`, which makes them".to_owned(),
        }
    }

    /// Whether there is one that can be read.
    pub fn is_readable(&self) -> bool {
        self.seen.load(Ordering::Relaxed) == READABLE_NOW
    }

    /// What [`Registry::question`] is answered with now. The log has it once, until it is another.
    pub(super) fn note(&self, readable: Option<bool>) {
        let now = match readable {
            None => MISSING,
            Some(false) => UNREADABLE,
            Some(true) => READABLE_NOW,
        };
        if self.seen.swap(now, Ordering::Relaxed) == now {
            return;
        }
        let database = &self.database;
        match now {
            MISSING | UNREADABLE if self.places => tracing::error!(
                database,
                mend = self.mend(),
                "placements unreadable: serving no tenant until the proxy can read them"
            ),
            MISSING => tracing::info!(database, "no tenant registry: serving every schema"),
            UNREADABLE => {
                tracing::warn!(database, "tenant registry unreadable: serving every schema");
            }
            _ => tracing::info!(database, "tenant registry found: serving tenants by their state in it"),
        }
    }

    /// Whether a question failed since the registry is gone, or no longer to be read: that is noted.
    pub(super) fn is_lost(&self, error: &CatalogError) -> bool {
        let readable = match error.code() {
            Some(code) if *code == SqlState::INSUFFICIENT_PRIVILEGE => Some(false),
            Some(code) if [SqlState::UNDEFINED_TABLE, SqlState::INVALID_SCHEMA_NAME].contains(code) => None,
            _ => return false,
        };
        self.note(readable);
        true
    }
}

/// The state of a tenant whose schema is there, or not, and of which the registry says so. `None`: there is
/// no such tenant.
pub(super) fn tenant_state(exists: bool, state: Option<State>) -> Option<State> {
    match state {
        // Its schema may be made at any moment.
        Some(State::Provisioning) => state,
        _ if !exists => None,
        _ => Some(state.unwrap_or(State::Active)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schema_counts_where_the_registry_does_not_say_otherwise() {
        assert_eq!(tenant_state(true, None), Some(State::Active));
        assert_eq!(tenant_state(false, None), None);
        assert_eq!(tenant_state(true, Some(State::Suspended)), Some(State::Suspended));
        assert_eq!(tenant_state(false, Some(State::Provisioning)), Some(State::Provisioning));
        for gone in [State::Active, State::Migrating, State::Suspended, State::Dropping, State::Source] {
            assert_eq!(tenant_state(false, Some(gone)), None, "{gone}");
        }
    }
}
