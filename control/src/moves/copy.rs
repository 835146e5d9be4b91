//! The copy of a schema on another cluster: one transaction at the source that holds its tables against writes, and one
//! at the target.

use std::pin::pin;
use std::time::Duration;

use futures_util::{SinkExt, TryStreamExt};
use pgstrata_tenancy::ident::{quoted, search_path};
use tokio::time::sleep;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Row, Transaction};

use super::{Move, compare};
use crate::Settings;
use crate::blueprint::{Blueprint, Chosen};
use crate::error::Error;
use crate::name::SchemaName;
use crate::registry::{State, literal, lock_key};

/// The time between two attempts to lock all tables.
const PAUSE: Duration = Duration::from_millis(10);

/// The columns of the ledger.
const LEDGER: &str = "schema, version, name, checksum, state, applied_at, took";

/// Attempts that do not wait. Each later one waits for a lock, so that PostgreSQL cancels an autovacuum that holds it.
const HASTY: usize = 50;

/// PostgreSQL finds within a second that this program is gone, also in the middle of a statement; the texts of values
/// mean the same on both clusters, whatever their defaults are.
pub(super) const SURROUNDINGS: &str = "
    SELECT CASE WHEN strpos(version(), 'linux') > 0 THEN set_config('client_connection_check_interval', '1s', true) END;
    SET LOCAL row_security = off; SET LOCAL client_min_messages = warning; SET LOCAL standard_conforming_strings = on;
    SET LOCAL datestyle = ISO; SET LOCAL intervalstyle = postgres; SET LOCAL extra_float_digits = 3;
    SET LOCAL bytea_output = hex; SET LOCAL lc_monetary = 'C'; SET LOCAL xmloption = content;
    SET LOCAL timezone = 'UTC'; SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";

/// The tables and sequences of a schema.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Relations {
    /// Those with rows: name, and the columns that are copied.
    pub tables: Vec<(String, Vec<String>)>,
    pub sequences: Vec<String>,
    /// SQL that keeps others from writing.
    table_locks: String,
    sequence_locks: String,
    objects: String,
}

impl Relations {
    /// Those of `schema` as of now. `client` has the path pg_catalog.
    pub async fn read(client: &Client, schema: &SchemaName) -> Result<Self, tokio_postgres::Error> {
        let rows = client.query(include_str!("sql/relations.sql"), &[&schema.as_str()]).await?;
        let objects = client.query_one(include_str!("sql/objects.sql"), &[&schema.as_str()]).await?;
        let kind = |row: &&Row, kinds: &str| kinds.contains(row.get::<_, &str>("kind"));
        let name = |row: &Row| row.get::<_, String>("name");
        let full = |row: &Row| format!("{}.{}", schema.quoted(), quoted(row.get("name")));
        let lockable: Vec<String> = rows.iter().filter(|row| kind(row, "rp")).map(full).collect();
        let tables = match lockable.is_empty() {
            true => String::new(),
            false => format!("LOCK TABLE {} IN EXCLUSIVE MODE", lockable.join(", ")),
        };
        // It has the owner that it is given: PostgreSQL changes nothing, and locks it until the end.
        let sequence =
            |row: &Row| format!("ALTER SEQUENCE {} OWNER TO {};", full(row), row.get::<_, &str>("owner"));
        Ok(Self {
            tables: rows
                .iter()
                .filter(|row| kind(row, "r"))
                .map(|row| (name(row), row.get("columns")))
                .collect(),
            sequences: rows.iter().filter(|row| kind(row, "S")).map(name).collect(),
            table_locks: tables,
            sequence_locks: rows.iter().filter(|row| kind(row, "S")).map(sequence).collect(),
            objects: objects.get(0),
        })
    }
}

/// Holds all tables and sequences of the schema against writes in the transaction `tx` at the source, which has not asked
/// anything yet: its snapshot comes behind the locks. Reads go on.
///
/// An attempt does not wait in PostgreSQL's queue of locks, where the tenant's own transactions would wait behind it.
/// `other` is another connection there, which sees what is committed.
pub(super) async fn hold(
    tx: &Transaction<'_>,
    other: &Client,
    mover: &Move,
    schema: &SchemaName,
) -> Result<Relations, Error> {
    let doing = || Error::postgres(format!("locking the tables of \"{schema}\" at the source"));
    let mut attempts = 0;
    let relations = loop {
        let relations = Relations::read(other, schema).await.map_err(doing())?;
        match lock_tables(tx, &relations, attempts >= HASTY).await {
            Ok(()) if Relations::read(other, schema).await.map_err(doing())? == relations => break relations,
            Err(error) if !is_locked(&error) => return Err(doing()(error)),
            Ok(()) | Err(_) => {}
        }
        tx.batch_execute("ROLLBACK TO held; RELEASE held").await.map_err(doing())?;
        attempts += 1;
        sleep(PAUSE).await;
    };
    let rest = format!(
        "SET LOCAL lock_timeout = '2s'; {} {SURROUNDINGS}; SELECT pg_advisory_xact_lock({}); SET LOCAL lock_timeout = 0",
        relations.sequence_locks,
        lock_key(&mover.aside())
    );
    tx.batch_execute(&rest).await.map_err(doing())?;
    Ok(relations)
}

async fn lock_tables(
    tx: &Transaction<'_>,
    relations: &Relations,
    waits: bool,
) -> Result<(), tokio_postgres::Error> {
    let nowait = if waits { "" } else { " NOWAIT" };
    let lock = match relations.table_locks.is_empty() {
        true => String::new(),
        false => format!("{}{nowait}", relations.table_locks),
    };
    tx.batch_execute(&format!("SAVEPOINT held; SET LOCAL lock_timeout = '2s'; {lock}")).await
}

fn is_locked(error: &tokio_postgres::Error) -> bool {
    let passing = [SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_DEADLOCK_DETECTED, SqlState::UNDEFINED_TABLE];
    error.code().is_some_and(|code| passing.contains(code))
}

/// What is copied from where to where.
pub(super) struct Copying<'a> {
    pub schema: &'a SchemaName,
    pub mover: &'a Move,
    pub relations: &'a Relations,
    /// The settings of the target.
    pub settings: &'a Settings,
    /// The registry says where the tenant is served, in the same database as the target: its row comes with the
    /// placement.
    pub enters_registry: bool,
}

impl Copying<'_> {
    /// Creates the empty schema, and whatever comes before the rows. Returns what comes behind them.
    pub async fn structure(&self, tx: &Transaction<'_>, to: &Client) -> Result<String, Error> {
        let blueprint = Blueprint::read(tx, self.schema.as_str(), Chosen::Structure).await?;
        let owner = owner(tx, self.schema).await?;
        to.batch_execute(&opening(self.schema, self.settings, &owner, Some(&self.mover.aside()))?)
            .await
            .map_err(self.failed("creating the schema"))?;
        let (before, behind) = blueprint.sql_around_rows(self.schema.as_str());
        to.batch_execute(&before).await.map_err(self.failed("creating its tables"))?;
        Ok(behind)
    }

    /// Copies the rows, the values of sequences, and the ledger; then creates whatever comes behind the rows. Returns
    /// the number of rows.
    pub async fn data(&self, tx: &Transaction<'_>, to: &Client, behind: &str) -> Result<u64, Error> {
        let mut rows = 0;
        for (table, columns) in &self.relations.tables {
            let name = format!("{}.{}", self.schema.quoted(), quoted(table));
            let columns =
                if columns.is_empty() { String::new() } else { format!(" ({})", columns.join(", ")) };
            let (from, into) =
                (format!("COPY {name}{columns} TO STDOUT"), format!("COPY {name}{columns} FROM STDIN"));
            rows += pipe((tx, &from), (to, &into)).await.map_err(self.failed(&format!("copying {name}")))?;
        }
        let sequences = compare::sequences(tx, self.schema, &self.relations.sequences).await?;
        let set = |(name, last, called): &(String, i64, bool)| {
            let name = literal(&format!("{}.{}", self.schema.quoted(), quoted(name)));
            format!("SELECT pg_catalog.setval({name}::pg_catalog.regclass, {last}, {called});")
        };
        let set: String = sequences.iter().map(set).collect();
        to.batch_execute(&set).await.map_err(self.failed("setting its sequences"))?;
        to.batch_execute(behind).await.map_err(self.failed("creating its constraints and privileges"))?;
        self.register(tx, to).await?;
        Ok(rows)
    }

    /// The rows of the registry at the target, which come and go with the copy.
    async fn register(&self, tx: &Transaction<'_>, to: &Client) -> Result<(), Error> {
        let (name, settings) = (literal(self.schema.as_str()), self.settings);
        let mut sql = "SET LOCAL search_path = pg_catalog;\n".to_owned();
        // The servers' role may be another one there.
        if let Some(role) = settings.proxy_role.as_deref() {
            let grant = format!("GRANT USAGE ON SCHEMA {} TO {}", self.schema.quoted(), quoted(role));
            let has = format!("pg_catalog.has_schema_privilege({}, {name}, 'USAGE')", literal(role));
            sql += &crate::registry::block(&format!("BEGIN IF NOT {has} THEN {grant}; END IF; END"));
            sql += ";\n";
        }
        sql += &settings.grants(self.schema)?;
        sql += &format!(
            "DELETE FROM pgstrata_control.migrations WHERE schema = {name};
             INSERT INTO pgstrata_control.copies (schema, aside) VALUES ({name}, {});\n",
            literal(&self.mover.aside())
        );
        if !self.enters_registry {
            sql += &registration(self.mover);
        }
        to.batch_execute(&sql).await.map_err(self.failed("registering it"))?;
        let from = format!(
            "COPY (SELECT {LEDGER} FROM pgstrata_control.migrations WHERE schema = {name}) TO STDOUT"
        );
        let into = format!("COPY pgstrata_control.migrations ({LEDGER}) FROM STDIN");
        pipe((tx, &from), (to, &into)).await.map(drop).map_err(self.failed("copying its ledger"))
    }

    fn failed(&self, what: &str) -> impl FnOnce(tokio_postgres::Error) -> Error + use<> {
        Error::postgres(format!("{what} on cluster \"{}\"", self.mover.target))
    }
}

/// SQL that registers the tenant at the target, where its clients wait until it arrives.
pub(super) fn registration(mover: &Move) -> String {
    let state = match mover.state {
        State::Active => State::Migrating,
        other => other,
    };
    format!(
        "INSERT INTO pgstrata_control.schemas (schema, state, version) VALUES ({}, '{state}', {})
         ON CONFLICT (schema) DO UPDATE SET state = excluded.state, version = excluded.version, changed_at = now();\n",
        literal(&mover.schema),
        mover.version.map_or_else(|| "NULL".into(), |version| version.to_string())
    )
}

/// The owner of the schema, as it stands in SQL.
pub(super) async fn owner(tx: &Transaction<'_>, schema: &SchemaName) -> Result<String, Error> {
    let sql =
        "SELECT quote_ident(pg_get_userbyid(nspowner)) FROM pg_namespace WHERE nspname = $1::text::name";
    let row = tx.query_one(sql, &[&schema.as_str()]).await;
    Ok(row.map_err(Error::postgres("asking who owns the schema"))?.get(0))
}

/// SQL that begins the transaction at the target and creates the empty schema. `aside`: the move that it is for, whose
/// lock is held until the transaction has ended; none for a rehearsal.
pub(super) fn opening(
    schema: &SchemaName,
    settings: &Settings,
    owner: &str,
    aside: Option<&str>,
) -> Result<String, Error> {
    let name = schema.quoted();
    let path = search_path(settings.path(schema.as_str(), schema.as_str()));
    let lock = aside.map_or_else(String::new, |aside| {
        format!("SELECT pg_catalog.pg_advisory_xact_lock({});", lock_key(aside))
    });
    let roles = settings.creates_role(schema)?;
    Ok(format!(
        "BEGIN; {SURROUNDINGS}; SET LOCAL lock_timeout = {}; {lock}
         SET LOCAL check_function_bodies = off; SET LOCAL default_tablespace = '';
         SET LOCAL default_table_access_method = heap;
         {roles} CREATE SCHEMA {name} AUTHORIZATION {owner}; SET LOCAL search_path = {path}",
        settings.lock_timeout.as_millis()
    ))
}

/// Sends what one COPY writes to another one; returns the number of rows.
async fn pipe(
    (tx, from): (&Transaction<'_>, &str),
    (to, into): (&Client, &str),
) -> Result<u64, tokio_postgres::Error> {
    let mut rows = pin!(tx.copy_out(from).await?);
    let mut sink = pin!(to.copy_in(into).await?);
    while let Some(chunk) = rows.try_next().await? {
        sink.feed(chunk).await?;
    }
    sink.as_mut().finish().await
}
