//! The results of a run by schema, and its events.

use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};
use tokio_postgres::error::{DbError, ErrorPosition, SqlState};

use super::migration::{CodeError, Migration};
use super::script::{Place, Script};
use crate::error::{Error, postgres_words};

/// The results of a run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The version of the newest migration; `None` without migrations.
    pub newest: Option<i64>,
    /// The number of schemas with migrations. Those that are not listed had nothing pending.
    pub known: u64,
    /// The number of schemas with a version above the newest known migration.
    pub ahead: u64,
    /// The schemas with pending migrations, in the order of the plan.
    pub schemas: Vec<Outcome>,
    /// The duration of the run, in seconds.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
}

impl Report {
    /// Whether nothing failed.
    pub fn is_ok(&self) -> bool {
        self.failed().next().is_none()
    }

    /// The schemas that failed.
    pub fn failed(&self) -> impl Iterator<Item = &Outcome> {
        self.schemas.iter().filter(|outcome| outcome.state == Ended::Failed)
    }

    /// The outcome of one schema; `None` if nothing was pending.
    pub fn of(&self, schema: &str) -> Option<&Outcome> {
        self.schemas.iter().find(|outcome| outcome.schema == schema)
    }
}

/// The outcome of one schema.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// The schema.
    pub schema: String,
    /// Its place in the run.
    pub stage: Stage,
    /// How it ended.
    pub state: Ended,
    /// The applied migrations.
    pub applied: Vec<Applied>,
    /// The names of the migrations that are (still) pending.
    pub lacks: Vec<String>,
    /// The number of retries.
    pub retries: u32,
    /// The duration, in seconds.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
    /// Why it failed.
    pub failure: Option<Failure>,
}

/// The place of a schema in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// The source, which comes first.
    Source,
    /// A canary: before the other tenants, alone.
    Canary,
    /// A tenant, in parallel with others.
    Tenant,
}

/// How a schema ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// Nothing is pending.
    Done,
    /// A migration failed; earlier ones are applied.
    Failed,
    /// Not begun, because others had failed.
    NotBegun,
    /// The tenant is no longer migrated: it was dropped meanwhile.
    Gone,
    /// Nothing ran: the pending migrations are listed.
    Planned,
    /// Everything ran and was rolled back, except migrations that cannot run in a transaction and those behind them.
    Rehearsed,
}

/// An applied migration.
#[derive(Clone, Debug, Serialize)]
pub struct Applied {
    /// Its version.
    pub version: i64,
    /// Its name.
    pub name: String,
    /// The duration, in seconds.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
}

/// Why a schema failed.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// The file of the failed migration; `None` if the failure came before a migration.
    pub name: Option<String>,
    /// The position in the file.
    pub place: Option<Place>,
    /// The SQLSTATE, if PostgreSQL gave one.
    pub sqlstate: Option<String>,
    /// The error and the remedy.
    pub message: String,
    /// The function or block of the error, in PostgreSQL's words.
    pub context: Option<String>,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{name}")?;
            if let Some(place) = self.place {
                write!(f, ", {place}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.message)?;
        self.context.as_ref().map_or(Ok(()), |context| write!(f, "\n{context}"))
    }
}

impl Failure {
    pub(super) fn new(migration: Option<&Migration>, message: impl Into<String>) -> Self {
        let name = migration.map(|migration| migration.name.to_string());
        Self { name, place: None, sqlstate: None, message: message.into(), context: None }
    }

    /// An error of PostgreSQL in a migration, or outside of one.
    pub(super) fn postgres(migration: Option<&Migration>, error: &tokio_postgres::Error) -> Self {
        let context = error.as_db_error().and_then(DbError::where_).map(str::to_owned);
        let sqlstate = error.code().map(|code| code.code().to_owned());
        Self { sqlstate, context, ..Self::new(migration, postgres_words(error)) }
    }

    /// An error of PostgreSQL in a file's text from the byte `start` on, after `done` statements.
    pub(super) fn script(
        (migration, script): (&Migration, &Script),
        (start, done): (usize, usize),
        error: &tokio_postgres::Error,
    ) -> Self {
        let mut failure = Self::postgres(Some(migration), error);
        failure.place = match error.as_db_error().and_then(DbError::position) {
            Some(ErrorPosition::Original(position)) => Some(script.character_at(start, *position as usize)),
            _ => script.statement_at(done),
        };
        if error.code() == Some(&SqlState::ACTIVE_SQL_TRANSACTION) {
            failure.message +=
                ". A file whose first line is \"-- pgstrata: no-transaction\" runs without one";
        }
        failure
    }

    /// An error of code; the SQLSTATE is that of the contained PostgreSQL error, if there is one.
    pub(super) fn code(migration: &Migration, error: &CodeError) -> Self {
        let mut source: Option<&(dyn std::error::Error + 'static)> = Some(&**error);
        while let Some(error) = source {
            if let Some(error) = error.downcast_ref::<tokio_postgres::Error>() {
                return Self::postgres(Some(migration), error);
            }
            source = error.source();
        }
        Self::new(Some(migration), error.to_string())
    }

    /// Whether a retry may succeed: another session held a lock.
    pub(super) fn is_transient(&self) -> bool {
        let transient = [
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::T_R_SERIALIZATION_FAILURE,
        ];
        transient.iter().any(|state| self.sqlstate.as_deref() == Some(state.code()))
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let sqlstate = error.sqlstate().map(str::to_owned);
        Self { sqlstate, ..Self::new(None, error.to_string()) }
    }
}

/// An event of a run.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event<'a> {
    /// The number of schemas with pending migrations.
    Planned {
        /// The number.
        schemas: usize,
    },
    /// A schema begins.
    Begun {
        /// The schema.
        schema: &'a str,
        /// Its place in the run.
        stage: Stage,
    },
    /// Another command works on the schema; the run waits for it.
    Waiting {
        /// The schema.
        schema: &'a str,
    },
    /// A lock time-out; a retry follows after a pause.
    Retrying {
        /// The schema.
        schema: &'a str,
        /// The failure.
        failure: &'a Failure,
        /// The number of the retry.
        retry: u32,
    },
    /// A migration was applied.
    Applied {
        /// The schema.
        schema: &'a str,
        /// The migration.
        migration: &'a Applied,
    },
    /// A schema has ended, successfully or not.
    Ended {
        /// Its outcome.
        outcome: &'a Outcome,
    },
}

/// A callback for events, for a progress bar for example. Many tasks call it, and it must not block.
pub type Watch = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}
