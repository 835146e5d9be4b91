//! SQLite: each connection has a thread of its own, which does what it is sent, one thing after the other.
//!
//! # Layout
//! - [`Manager`]: opens connections for deadpool's pool.
//! - [`Lease`]: a connection for a while. What its holder has left open is undone before anything else is done on it.
//! - [`SqliteError`]: what SQLite says.
//! - `schema`: tables that are missing.

pub(crate) mod schema;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use deadpool::managed::{self, Metrics, Object, PoolError, RecycleError, RecycleResult};
use pgstrata_tenancy::ident::quoted;
use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, InterruptHandle, OpenFlags, ToSql};
use tokio::sync::oneshot;

use crate::connection::Answer;
use crate::lease::Fault;
use crate::plain::{PlainRow, Value};
use crate::row::Row;
use crate::sql::Sql;
use crate::{Error, Options};

/// Jobs that wait for a connection's thread. One has a connection at a time, so they are few.
const JOBS: usize = 64;
/// How long one connection waits for the lock of another.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a transaction that is left open is undone by.
const UNDO: &str = "ROLLBACK";
/// What each connection has. LIKE minds the case, as elsewhere.
const SETTINGS: &str = "PRAGMA foreign_keys = ON; PRAGMA case_sensitive_like = ON; PRAGMA query_only = OFF;";
/// What stands in front of the tables of the same names.
const TEMPORARY: &str = "SELECT type, name FROM temp.sqlite_master WHERE type IN ('table', 'view', 'trigger') AND substr(name, 1, 7) <> 'sqlite_'";
const ATTACHED: &str = "SELECT name FROM pragma_database_list WHERE name NOT IN ('main', 'temp')";

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// What SQLite says, or a value that it can't keep.
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # async fn example(em: EntityManager) -> Result<(), Error> {
/// match em.query("SELECT * FROM nothing", &[]).await {
///     Err(Error::Sqlite { source, .. }) => println!("{source}"),
///     other => drop(other?),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SqliteError {
    /// SQLite's own.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    /// A parameter is of a type that SQLite has no form for.
    #[error("parameter {number}: {source}")]
    Parameter {
        /// Its number, from 1.
        number: usize,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// SQLite has no `COPY`.
    #[error("SQLite has no COPY")]
    NoCopy,
    /// The connection's thread is gone.
    #[error("the connection is closed")]
    Closed,
}

impl SqliteError {
    /// A unique value is there already.
    pub(crate) fn is_duplicate(&self) -> bool {
        // SQLITE_CONSTRAINT_PRIMARYKEY and SQLITE_CONSTRAINT_UNIQUE.
        matches!(self, Self::Sqlite(rusqlite::Error::SqliteFailure(error, _))
            if [1555, 2067].contains(&error.extended_code))
    }

    pub(crate) fn is_retryable(&self) -> bool {
        self.is_code(ErrorCode::DatabaseBusy) || self.is_code(ErrorCode::DatabaseLocked)
    }

    fn is_code(&self, code: ErrorCode) -> bool {
        matches!(self, Self::Sqlite(rusqlite::Error::SqliteFailure(error, _)) if error.code == code)
    }
}

impl From<SqliteError> for Fault {
    fn from(error: SqliteError) -> Self {
        Self::Sqlite(error)
    }
}

/// Opens connections to one file, or the only one to a database in memory.
#[derive(Debug)]
pub(crate) struct Manager {
    /// None: in memory.
    path: Option<PathBuf>,
}

impl Manager {
    /// The connections of these options; to a database in memory there is but one, with which it goes.
    pub(crate) fn pool(options: &Options, path: Option<PathBuf>) -> Result<managed::Pool<Self>, Error> {
        let most = if path.is_some() { options.max_connections } else { 1 };
        crate::lease::pooled(Self { path }, options, most)
    }
}

impl managed::Manager for Manager {
    type Type = Worker;
    type Error = SqliteError;

    async fn create(&self) -> Result<Worker, SqliteError> {
        Worker::open(self.path.clone()).await
    }

    async fn recycle(&self, worker: &mut Worker, _: &Metrics) -> RecycleResult<SqliteError> {
        if worker.spoilt.load(Ordering::Acquire) {
            return Err(RecycleError::message("something is left on the connection"));
        }
        Ok(())
    }
}

/// A connection's thread, which ends when this is dropped.
pub(crate) struct Worker {
    jobs: SyncSender<Job>,
    interrupt: InterruptHandle,
    /// What SQL of the application's own has set could not be taken away.
    spoilt: Arc<AtomicBool>,
}

impl Worker {
    async fn open(path: Option<PathBuf>) -> Result<Self, SqliteError> {
        let (opened, ready) = oneshot::channel();
        let (jobs, work) = sync_channel::<Job>(JOBS);
        let run = move || {
            let mut connection = match open(path) {
                Ok(connection) => connection,
                Err(error) => return drop(opened.send(Err(error))),
            };
            let _ = opened.send(Ok(connection.get_interrupt_handle()));
            while let Ok(job) = work.recv() {
                job(&mut connection);
            }
        };
        let thread = std::thread::Builder::new().name("pgstrata-sqlite".into());
        thread.spawn(run).map_err(|_| SqliteError::Closed)?;
        let interrupt = ready.await.map_err(|_| SqliteError::Closed)??;
        Ok(Self { jobs, interrupt, spoilt: Arc::default() })
    }

    fn send(&self, job: Job) -> Result<(), SqliteError> {
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) | TrySendError::Disconnected(_) => SqliteError::Closed,
        })
    }

    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, SqliteError> {
        let (done, outcome) = oneshot::channel();
        self.send(Box::new(move |connection| drop(done.send(work(connection)))))?;
        Ok(outcome.await.map_err(|_| SqliteError::Closed)??)
    }
}

fn open(path: Option<PathBuf>) -> Result<Connection, rusqlite::Error> {
    let connection = match path {
        Some(path) => {
            let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
                | OpenFlags::SQLITE_OPEN_CREATE
                | OpenFlags::SQLITE_OPEN_NO_MUTEX;
            Connection::open_with_flags(path, flags)?
        }
        None => Connection::open_in_memory()?,
    };
    connection.busy_timeout(PATIENCE)?;
    // A name in quotes is a name: where there is no such column it would be a text else, and a condition on it be true for all rows or none.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
    connection.execute_batch(SETTINGS)?;
    // In memory there is no log, and SQLite says so by a row.
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    Ok(connection)
}

/// A connection for a while. Whoever drops it without [`Lease::done`] leaves it to be tidied up first.
pub(crate) struct Lease {
    worker: Object<Manager>,
    /// Statements that are not through, or were dropped before they were.
    running: AtomicUsize,
    done: bool,
}

impl Lease {
    pub(crate) async fn new(pool: &managed::Pool<Manager>) -> Result<Self, Error> {
        let worker = pool.get().await.map_err(|error| match error {
            PoolError::Backend(source) => Error::Sqlite { doing: "opening the database".into(), source },
            PoolError::Timeout(which) => Error::Connect(PoolError::Timeout(which)),
            other => Error::Options(other.to_string()),
        })?;
        Ok(Self { worker, running: AtomicUsize::new(0), done: false })
    }

    pub(crate) fn done(mut self) {
        self.done = true;
    }

    pub(crate) fn is_running(&self) -> bool {
        self.running.load(Ordering::Acquire) > 0
    }

    /// Stops what runs.
    pub(crate) fn give_up(&self) {
        if self.is_running() {
            self.worker.interrupt.interrupt();
        }
    }

    pub(crate) async fn run(&self, sql: &Sql<'_>) -> Result<Answer, Fault> {
        let mut values = Vec::with_capacity(sql.values.len());
        for (n, value) in sql.parameters().enumerate() {
            let value = Value::of(value);
            values.push(value.map_err(|source| SqliteError::Parameter { number: n + 1, source })?);
        }
        let text = sql.text.clone();
        self.counted(move |connection| execute(connection, &text, &values)).await
    }

    pub(crate) async fn batch(&self, text: &str) -> Result<(), Fault> {
        let text = text.to_owned();
        self.counted(move |connection| connection.execute_batch(&text)).await
    }

    /// Commits, or rolls back. A commit that fails has rolled back.
    pub(crate) async fn end(&self, text: &str) -> Result<(), Fault> {
        let text = text.to_owned();
        let end = move |connection: &mut Connection| {
            let ended = connection.execute_batch(&text);
            tidy(connection);
            ended
        };
        self.counted(end).await
    }

    /// Takes away what SQL of the application's own has left on the connection. `false`: it could not, and the connection is given up.
    pub(crate) async fn clean(&self) -> bool {
        let cleaned = self.counted(restore).await.is_ok();
        self.worker.spoilt.fetch_or(!cleaned, Ordering::AcqRel);
        cleaned
    }

    async fn counted<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, Fault> {
        self.running.fetch_add(1, Ordering::AcqRel);
        let outcome = self.worker.call(work).await;
        self.running.fetch_sub(1, Ordering::AcqRel);
        Ok(outcome?)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.done {
            self.give_up();
            // Behind what runs still, and in front of all that comes.
            let spoilt = Arc::clone(&self.worker.spoilt);
            let undo = move |connection: &mut Connection| {
                tidy(connection);
                spoilt.fetch_or(restore(connection).is_err(), Ordering::AcqRel);
            };
            let _ = self.worker.send(Box::new(undo));
        }
    }
}

/// No transaction is open, and writing is allowed.
fn tidy(connection: &mut Connection) {
    if !connection.is_autocommit() {
        let _ = connection.execute_batch(UNDO);
    }
    let _ = connection.execute_batch("PRAGMA query_only = OFF");
}

/// As it was opened: without temporary tables, which stand in front of others, and without databases that were attached.
fn restore(connection: &mut Connection) -> Result<(), rusqlite::Error> {
    let mut temporary = connection.prepare(TEMPORARY)?;
    let rows = temporary.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let mut undo: Vec<String> = Vec::new();
    for row in rows {
        let (kind, name) = row?;
        undo.push(format!("DROP {kind} IF EXISTS temp.{}", quoted(&name)));
    }
    let mut attached = connection.prepare(ATTACHED)?;
    for name in attached.query_map([], |row| row.get::<_, String>(0))? {
        undo.push(format!("DETACH {}", quoted(&name?)));
    }
    for statement in undo {
        connection.execute_batch(&statement)?;
    }
    connection.execute_batch(SETTINGS)
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

fn execute(connection: &Connection, text: &str, values: &[Value]) -> Result<Answer, rusqlite::Error> {
    let mut statement = connection.prepare_cached(text)?;
    if values.len() != statement.parameter_count() {
        return Err(rusqlite::Error::InvalidParameterCount(values.len(), statement.parameter_count()));
    }
    for (n, value) in values.iter().enumerate() {
        // `$2` may stand in front of `$1`: SQLite counts names as they come.
        let index = statement.parameter_index(&format!("${}", n + 1))?.unwrap_or(n + 1);
        statement.raw_bind_parameter(index, value)?;
    }
    let names: Arc<[String]> = statement.column_names().map(str::to_owned).collect();
    let reads = statement.readonly();
    let mut found = Vec::new();
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        let mut values = Vec::with_capacity(names.len());
        for index in 0..names.len() {
            values.push(kept(row.get_ref(index)?));
        }
        found.push(Row::from(PlainRow::new(Arc::clone(&names), values)));
    }
    drop(rows);
    let affected = if reads { found.len() as u64 } else { connection.changes() };
    Ok(Answer { rows: found, affected })
}

fn kept(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        ValueRef::Real(number) => Value::Real(number),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => Value::Bytes(text.to_vec()),
        },
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    }
}
