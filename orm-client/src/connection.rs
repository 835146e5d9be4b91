//! Connections to PostgreSQL, none of which keeps anything of a tenant's.
//!
//! # Layout
//! - [`Manager`]: makes connections for deadpool's pool, and takes them back.
//! - [`Lease`]: a connection for a while. It goes back only if it is said to be as it was.
//! - `run`: statements, alone or in a transaction of their own, in as few round trips as can be.
//! - `statements`: what is prepared on one connection.
//! - `stream`: rows as they come; `copy`: rows by `COPY`.

mod copy;
mod run;
mod statements;
mod stream;

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use deadpool::managed::{self, Metrics, Object, Pool, RecycleError, RecycleResult};
use deadpool_postgres::ClientWrapper;
use tokio::task::AbortHandle;
use tokio_postgres::Config;
use tokio_postgres::error::SqlState;

pub(crate) use copy::Copy;
pub(crate) use run::{Frame, Step};
use statements::Statements;
pub(crate) use stream::Streaming;

use crate::Options;
use crate::options::Life;
use crate::row::Row;
use crate::tls::Connector;

/// Takes away what SQL of somebody's own may have left in a session of PostgreSQL's.
pub(crate) const CLEAN: &str = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; \
     SELECT pg_catalog.pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES";
/// The same for a session of a proxy's, which takes prepared statements away, too.
pub(crate) const DISCARD: &str = "DISCARD ALL";

/// What came of a statement.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) rows: Vec<Row>,
    pub(crate) affected: u64,
}

/// Makes connections, and takes them back.
pub(crate) struct Manager {
    config: Config,
    connector: Arc<dyn Connector>,
    statements: usize,
    life: Life,
}

impl Manager {
    pub(crate) fn new(config: Config, connector: Arc<dyn Connector>, options: &Options) -> Self {
        Self { config, connector, statements: options.statements, life: options.life.clone() }
    }

    /// It may be used again.
    fn keeps(&self, metrics: &Metrics) -> bool {
        self.life.longest.is_none_or(|longest| metrics.age() <= longest)
    }
}

impl managed::Manager for Manager {
    type Type = Connection;
    type Error = tokio_postgres::Error;

    async fn create(&self) -> Result<Connection, tokio_postgres::Error> {
        let (client, task) = self.connector.connect(&self.config).await?;
        let (abort, client) = (task.abort_handle(), ClientWrapper::new(client, task));
        if let Some(begins) = &self.life.begins {
            client.batch_execute(begins).await?;
        }
        Ok(Connection {
            abort,
            client,
            begins: self.life.begins.clone(),
            statements: Statements::new(self.statements),
            running: AtomicUsize::new(0),
            given_up: AtomicBool::new(false),
            aborted: AtomicBool::new(false),
        })
    }

    async fn recycle(
        &self,
        connection: &mut Connection,
        metrics: &Metrics,
    ) -> RecycleResult<tokio_postgres::Error> {
        match connection.given_up.load(Ordering::Acquire) || connection.client.is_closed() {
            true => Err(RecycleError::message("the connection is closed")),
            false if !self.keeps(metrics) => Err(RecycleError::message("the connection is old")),
            false => Ok(()),
        }
    }
}

impl fmt::Debug for Manager {
    // How to connect has a password in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Manager")
    }
}

/// A connection, and what is prepared on it.
pub(crate) struct Connection {
    client: ClientWrapper,
    abort: AbortHandle,
    /// What it has begun with, and begins with again when it is cleaned.
    begins: Option<Arc<str>>,
    statements: Statements,
    /// Statements that are not through, or were dropped before they were.
    running: AtomicUsize,
    /// Whoever has it may go on, and nobody gets it behind them.
    given_up: AtomicBool,
    aborted: AtomicBool,
}

impl Connection {
    /// Nobody gets it behind who has it now.
    fn spoil(&self) {
        self.given_up.store(true, Ordering::Release);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }
}

/// A connection for a while. Whoever drops it without [`Lease::done`], because its future was dropped or panicked, closes it:
/// PostgreSQL then rolls back what was open.
pub(crate) struct Lease {
    connection: Object<Manager>,
    connector: Arc<dyn Connector>,
    done: bool,
}

impl Lease {
    pub(crate) async fn new(
        pool: &Pool<Manager>,
        connector: &Arc<dyn Connector>,
    ) -> Result<Self, managed::PoolError<tokio_postgres::Error>> {
        let connection = pool.get().await?;
        Ok(Self { connection, connector: Arc::clone(connector), done: false })
    }

    /// It is as it was: no transaction, no setting, nothing on its way.
    pub(crate) fn done(mut self) {
        self.done = true;
    }

    /// Whether statements are on their way, or were abandoned on it.
    pub(crate) fn is_running(&self) -> bool {
        self.connection.running.load(Ordering::Acquire) > 0
    }

    /// Whether it was used before: it may have been lost since.
    pub(crate) fn is_kept(&self) -> bool {
        Object::metrics(&self.connection).recycle_count > 0
    }

    /// Closes the connection now. What runs on it is cancelled.
    pub(crate) fn give_up(&self) {
        self.connection.spoil();
        if self.connection.aborted.swap(true, Ordering::AcqRel) {
            return;
        }
        if self.is_running() {
            self.connector.cancel(self.connection.client.cancel_token());
        }
        self.connection.abort.abort();
    }
}

impl Deref for Lease {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.connection
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // It goes back to the pool, which will not give it to anybody, and its socket is closed now.
        if !self.done {
            self.give_up();
        }
    }
}

/// Whether an error is the loss of a connection: PostgreSQL has ended it, or nobody knows why it ended.
pub(crate) fn is_disconnected(error: &tokio_postgres::Error) -> bool {
    match error.code() {
        Some(code) => {
            let ended = [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::IDLE_SESSION_TIMEOUT];
            ended.contains(code) || code.code().starts_with("08")
        }
        None => {
            let cause = std::error::Error::source(error);
            error.is_closed() || cause.is_some_and(|cause| cause.is::<std::io::Error>())
        }
    }
}
