//! A migration's transaction: how it begins, and the row in the ledger that ends it.

use std::fmt::Write;

use pgstrata_tenancy::ident;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use super::migration::Migration;
use crate::registry::{self, State};
use crate::settings::Settings;

/// How a transaction in a schema began.
pub(super) enum Begin {
    /// The schema is ours until its end.
    Open(Open),
    /// Another command is at work on it.
    Busy,
    /// The registry does not know it any more, or has it as one that is not migrated.
    Gone,
}

/// What holds while the schema is ours.
pub(super) struct Open {
    pub version: Option<i64>,
    pub state: State,
    /// Whether names with no schema mean the schema's. They mean another's if there is no such schema,
    /// or if the role may not use it.
    pub is_usable: bool,
    /// The version of a migration that was stopped in the middle.
    pub unfinished: Option<i64>,
    /// Which transaction it is.
    transaction: String,
}

/// Whatever a role or a database has set.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

/// Begins a transaction, in which names mean the schema's and then those of the shared schemas.
///
/// Nothing waits here: who waits for a lock has a snapshot meanwhile, and `CREATE INDEX CONCURRENTLY`,
/// which may be what the lock is held for, waits for all of them.
pub(super) async fn begin(
    client: &Client,
    settings: &Settings,
    schema: &str,
) -> Result<Begin, tokio_postgres::Error> {
    let (name, lock) = (literal(schema), registry::lock_key(schema));
    let query = format!(
        "{BEGIN}; RESET ROLE;
         SELECT pg_catalog.pg_try_advisory_xact_lock({lock}) AS ours, {};
         {};
         SELECT s.version, s.state, pg_catalog.txid_current() AS transaction,
                pg_catalog.current_schema() IS NOT DISTINCT FROM s.schema AS usable,
                (SELECT pg_catalog.min(m.version) FROM pgstrata_control.migrations AS m
                 WHERE m.schema = s.schema AND m.state = 'running') AS unfinished
         FROM pgstrata_control.schemas AS s WHERE s.schema = {name}",
        notices_loss(true),
        surroundings("SET LOCAL", settings, schema),
    );
    let messages = client.simple_query(&query).await?;
    let mut rows = messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    if rows.next().and_then(|row| row.get("ours")) != Some("t") {
        return Ok(Begin::Busy);
    }
    let Some(row) = rows.next() else { return Ok(Begin::Gone) };
    Ok(Open::read(row).map_or(Begin::Gone, Begin::Open))
}

impl Open {
    /// `None` if its state is one that is not migrated.
    fn read(row: &SimpleQueryRow) -> Option<Self> {
        let number = |column| row.get(column).and_then(|number: &str| number.parse().ok());
        let state: State = row.get("state")?.parse().ok()?;
        let transaction = row.get("transaction")?.to_owned();
        let is_target = !matches!(state, State::Provisioning | State::Dropping);
        is_target.then(|| Self {
            version: number("version"),
            state,
            is_usable: row.get("usable") == Some("t"),
            unfinished: number("unfinished"),
            transaction,
        })
    }

    /// The end of a migration in this transaction: all that is deferred happens, then the migration is
    /// written down, as ourselves. It fails if the transaction is another by now.
    pub fn record(&self, schema: &str, migration: &Migration) -> String {
        record(schema, self.version, migration, &self.transaction)
    }
}

/// As [`Open::record`], for a migration that ran in no transaction.
pub(super) fn record_outside(schema: &str, version: Option<i64>, migration: &Migration) -> String {
    record(schema, version, migration, "NULL")
}

fn record(schema: &str, version: Option<i64>, migration: &Migration, transaction: &str) -> String {
    let expected = version.map_or_else(|| "NULL".to_owned(), |version| version.to_string());
    format!(
        "SET CONSTRAINTS ALL IMMEDIATE;
         RESET SESSION AUTHORIZATION; RESET ROLE; SET LOCAL search_path TO pg_catalog, pg_temp;
         SELECT pgstrata_control.record({}, {expected}, {}, {transaction})",
        literal(schema),
        row(migration),
    )
}

/// Writes down that a migration begins that runs in no transaction, and holds on to the schema for the session.
pub(super) fn claim(schema: &str, migration: &Migration) -> String {
    format!(
        "SELECT pg_catalog.pg_try_advisory_lock({});
         INSERT INTO pgstrata_control.migrations (schema, version, name, checksum, state)
         VALUES ({}, {}, 'running')
         ON CONFLICT (schema, version) DO UPDATE SET name = excluded.name, checksum = excluded.checksum,
             state = excluded.state, applied_at = excluded.applied_at",
        registry::lock_key(schema),
        literal(schema),
        row(migration),
    )
}

/// Takes the claim back: nothing was done.
pub(super) fn unclaim(schema: &str, migration: &Migration) -> String {
    format!(
        "DELETE FROM pgstrata_control.migrations WHERE schema = {} AND version = {} AND state = 'running'",
        literal(schema),
        migration.version,
    )
}

/// Version, name and checksum.
fn row(migration: &Migration) -> String {
    let mut sum = String::new();
    for byte in migration.checksum {
        // Writing to a string does not fail.
        let _ = write!(sum, "{byte:02x}");
    }
    format!("{}, {}, pg_catalog.decode('{sum}', 'hex')", migration.version, literal(&migration.name))
}

/// Has PostgreSQL notice when this program is gone, and let go of what it had begun, also in the middle of a
/// statement that takes an hour. Not all systems that it runs on can.
pub(super) fn notices_loss(local: bool) -> String {
    format!(
        "CASE WHEN pg_catalog.strpos(pg_catalog.version(), 'linux') > 0
         THEN pg_catalog.set_config('client_connection_check_interval', '1s', {local}) END"
    )
}

/// What a migration's SQL is run under. `set`: `SET` or `SET LOCAL`.
pub(super) fn surroundings(set: &str, settings: &Settings, schema: &str) -> String {
    let shared = settings.shared.iter().map(String::as_str).filter(|shared| *shared != schema);
    let path = ident::search_path(std::iter::once(schema).chain(shared));
    let wait = settings.lock_timeout.as_millis();
    format!(
        "{set} search_path TO {path}; {set} lock_timeout TO '{wait}ms'; {set} standard_conforming_strings TO on"
    )
}

fn literal(text: &str) -> String {
    let mut out = String::new();
    ident::push_literal(&mut out, text);
    out
}
