//! The transaction of a migration: its beginning, and the row in the ledger that ends it.

use std::fmt::Write;

use pgstrata_tenancy::ident;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use super::migration::Migration;
use crate::registry::{self, State};
use crate::settings::Settings;

/// The result of beginning a transaction in a schema.
pub(super) enum Begin {
    /// The schema is locked for us until the end of the transaction.
    Open(Open),
    /// Another command works on the schema.
    Busy,
    /// The registry no longer has the schema, or its state excludes migrations.
    Gone,
}

/// What is known while the schema is locked.
pub(super) struct Open {
    pub version: Option<i64>,
    pub state: State,
    /// Whether unqualified names resolve to the schema. They resolve to another one if the schema does not exist, or
    /// if the role may not use it.
    pub is_usable: bool,
    /// The version of an interrupted migration.
    pub unfinished: Option<i64>,
    /// The identifier of the transaction.
    transaction: String,
}

/// Independent of the defaults of role and database.
pub(super) const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE";

/// Begins a transaction in which names resolve to the schema and then to the shared schemas.
///
/// It waits for no lock: a waiting transaction holds a snapshot, and a `CREATE INDEX CONCURRENTLY` that holds the
/// lock would wait for that snapshot.
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
    /// `None` if the state of the schema excludes migrations.
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

    /// The end of a migration in this transaction: deferred constraints and triggers run, then the migration is
    /// recorded under our own role. It fails if the transaction is another one by now.
    pub fn record(&self, schema: &str, migration: &Migration) -> String {
        record(schema, self.version, migration, &self.transaction)
    }
}

/// Like [`Open::record`], for a migration that ran outside of a transaction.
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

/// Records that a migration without a transaction begins, and locks the schema for the session.
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

/// Removes that record: nothing was done.
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
        // Writing to a string cannot fail.
        let _ = write!(sum, "{byte:02x}");
    }
    format!("{}, {}, pg_catalog.decode('{sum}', 'hex')", migration.version, literal(&migration.name))
}

/// Makes PostgreSQL detect that this program is gone and abort its transaction, even in the middle of a long
/// statement. Not all operating systems support it.
pub(super) fn notices_loss(local: bool) -> String {
    format!(
        "CASE WHEN pg_catalog.strpos(pg_catalog.version(), 'linux') > 0
         THEN pg_catalog.set_config('client_connection_check_interval', '1s', {local}) END"
    )
}

/// The settings for a migration's SQL. `set`: `SET` or `SET LOCAL`.
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
