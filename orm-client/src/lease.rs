//! A connection for a while, of whichever database; and its errors.
//!
//! The databases are few, and known here, so this is an enum and no trait of futures in boxes: a statement of PostgreSQL's costs what it
//! costs without it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use deadpool::managed;
use tokio_postgres::error::SqlState;

use crate::connection::{self, Answer, Copy, Frame, Step};
use crate::entity::Parameter;
use crate::row::Row;
use crate::sql::Sql;
use crate::tls::Connector;
use crate::{Error, Options};

/// What a driver says.
#[derive(Debug)]
pub(crate) enum Fault {
    Postgres(tokio_postgres::Error),
    #[cfg(feature = "sqlite")]
    Sqlite(crate::sqlite::SqliteError),
}

impl Fault {
    /// PostgreSQL's code.
    pub(crate) fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Postgres(error) => error.code(),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => None,
        }
    }

    /// The database has refused something, and is there.
    pub(crate) fn is_answer(&self) -> bool {
        match self {
            Self::Postgres(error) => error.code().is_some(),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => true,
        }
    }

    pub(crate) fn is_disconnected(&self) -> bool {
        match self {
            Self::Postgres(error) => connection::is_disconnected(error),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => false,
        }
    }

    pub(crate) fn while_doing(self, doing: String, timed_out: bool) -> Error {
        match self {
            Self::Postgres(source) => Error::Postgres { doing, source, timed_out },
            #[cfg(feature = "sqlite")]
            Self::Sqlite(source) => Error::Sqlite { doing, source },
        }
    }
}

impl From<tokio_postgres::Error> for Fault {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Postgres(error)
    }
}

/// The connections of a manager.
pub(crate) enum Pool {
    Postgres {
        pool: managed::Pool<connection::Manager>,
        connector: Arc<dyn Connector>,
    },
    #[cfg(feature = "sqlite")]
    Sqlite(managed::Pool<crate::sqlite::Manager>),
}

impl Pool {
    pub(crate) async fn lease(&self) -> Result<Lease, Error> {
        match self {
            Self::Postgres { pool, connector } => {
                let lease = connection::Lease::new(pool, connector).await;
                lease.map(Lease::Postgres).map_err(Error::Connect)
            }
            #[cfg(feature = "sqlite")]
            Self::Sqlite(pool) => crate::sqlite::Lease::new(pool).await.map(Lease::Sqlite),
        }
    }

    pub(crate) fn close(&self) {
        match self {
            Self::Postgres { pool, .. } => pool.close(),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(pool) => pool.close(),
        }
    }

    /// How many connections there are, and how many of them are idle.
    pub(crate) fn status(&self) -> (usize, usize) {
        let status = match self {
            Self::Postgres { pool, .. } => pool.status(),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(pool) => pool.status(),
        };
        (status.size, status.available)
    }
}

/// A pool as the options want it.
pub(crate) fn pooled<M: managed::Manager>(
    manager: M,
    options: &Options,
    most: usize,
) -> Result<managed::Pool<M>, Error> {
    let patience = |time: Duration| Some(time);
    managed::Pool::builder(manager)
        .max_size(most)
        .runtime(deadpool::Runtime::Tokio1)
        .wait_timeout(patience(options.wait_timeout))
        .create_timeout(patience(options.connect_timeout))
        .build()
        .map_err(|error| Error::Options(error.to_string()))
}

/// A connection for a while. See [`connection::Lease`].
// Nearly all are PostgreSQL's: a box would cost each of them an allocation.
#[allow(clippy::large_enum_variant)]
pub(crate) enum Lease {
    Postgres(connection::Lease),
    #[cfg(feature = "sqlite")]
    Sqlite(crate::sqlite::Lease),
}

impl Lease {
    /// PostgreSQL's own, for what no other database has.
    pub(crate) fn postgres(self) -> Result<connection::Lease, Error> {
        match self {
            Self::Postgres(lease) => Ok(lease),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => Err(Error::Unsupported(crate::DatabaseKind::Sqlite)),
        }
    }

    /// Runs a statement in its frame, and asks something in the same flight; says whether the connection is as it was.
    pub(crate) async fn single_and_ask(
        &self,
        frame: &Frame,
        sql: &Sql<'_>,
        asked: &Sql<'_>,
    ) -> ((Result<Answer, Fault>, bool), Option<Vec<Row>>) {
        match self {
            Self::Postgres(lease) => {
                let ((answer, clean), found) = lease.single_and_ask(frame, sql, asked).await;
                ((answer.map_err(Fault::Postgres), clean), found)
            }
            #[cfg(feature = "sqlite")]
            Self::Sqlite(lease) => {
                let answer = lease.run(sql).await;
                let clean = frame.clean.is_none() || lease.clean().await;
                ((answer, clean), None)
            }
        }
    }

    /// Runs a statement in the transaction that is open.
    pub(crate) async fn run(&self, step: &Step<'_>) -> Result<Answer, Fault> {
        match self {
            Self::Postgres(lease) => Ok(lease.run(step).await?),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(lease) => lease.run(step.sql).await,
        }
    }

    /// Sends rows by `COPY`, which other databases do not have.
    pub(crate) async fn copy_in<'r>(
        &self,
        copy: Copy<impl Iterator<Item = Vec<Parameter<'r>>> + Send>,
    ) -> Result<u64, Fault> {
        match self {
            Self::Postgres(lease) => Ok(lease.copy_in(copy).await?),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => Err(crate::SqliteError::NoCopy.into()),
        }
    }

    /// Runs statements that have no values.
    pub(crate) async fn batch(&self, text: &str) -> Result<(), Fault> {
        match self {
            Self::Postgres(lease) => Ok(lease.batch(text).await?),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(lease) => lease.batch(text).await,
        }
    }

    /// Ends a transaction. `false`: something may be left of what SQL of the application's own has set.
    pub(crate) async fn end(&self, text: &str, clean: Option<&'static str>) -> (Result<(), Fault>, bool) {
        match self {
            Self::Postgres(lease) => {
                let (ended, cleaned) = lease.end(text, clean).await;
                (ended.map_err(Fault::Postgres), cleaned)
            }
            #[cfg(feature = "sqlite")]
            Self::Sqlite(lease) => {
                let ended = lease.end(text).await;
                (ended, clean.is_none() || lease.clean().await)
            }
        }
    }

    pub(crate) fn is_running(&self) -> bool {
        match self {
            Self::Postgres(lease) => lease.is_running(),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(lease) => lease.is_running(),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Self::Postgres(lease) => lease.is_closed(),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => false,
        }
    }

    /// Whether it was used before: it may have been lost since.
    pub(crate) fn is_kept(&self) -> bool {
        match self {
            Self::Postgres(lease) => lease.is_kept(),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => false,
        }
    }

    pub(crate) fn give_up(&self) {
        match self {
            Self::Postgres(lease) => lease.give_up(),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(lease) => lease.give_up(),
        }
    }

    pub(crate) fn done(self) {
        match self {
            Self::Postgres(lease) => lease.done(),
            #[cfg(feature = "sqlite")]
            Self::Sqlite(lease) => lease.done(),
        }
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pool")
    }
}
