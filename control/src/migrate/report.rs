//! What a run did, schema by schema, and what it says meanwhile.

use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};
use tokio_postgres::error::{DbError, ErrorPosition, SqlState};

use super::migration::{CodeError, Migration};
use super::script::{Place, Script};
use crate::error::{Error, postgres_words};

/// What a run did.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The version that all schemas were to have; none without a migration.
    pub newest: Option<i64>,
    /// How many schemas migrations are for. Those that are not listed lacked nothing.
    pub known: u64,
    /// How many are at a version that is newer than the newest migration at hand.
    pub ahead: u64,
    /// The schemas that lacked something, in the order of the plan.
    pub schemas: Vec<Outcome>,
    /// How long all of it took, in seconds.
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

    /// The outcome of one schema; none if it lacked nothing.
    pub fn of(&self, schema: &str) -> Option<&Outcome> {
        self.schemas.iter().find(|outcome| outcome.schema == schema)
    }
}

/// What became of one schema.
#[derive(Debug, Serialize)]
pub struct Outcome {
    /// Which.
    pub schema: String,
    /// What it was among all.
    pub stage: Stage,
    /// How it ended.
    pub state: Ended,
    /// What it got.
    pub applied: Vec<Applied>,
    /// The names of the migrations that it lacks, or still lacks.
    pub lacks: Vec<String>,
    /// How often something was tried again.
    pub retries: u32,
    /// How long it took, in seconds.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
    /// Why it failed.
    pub failure: Option<Failure>,
}

/// What a schema is among those that are migrated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// It comes first.
    Source,
    /// It comes before the other tenants, alone.
    Canary,
    /// It comes with others.
    Tenant,
}

/// How one schema ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ended {
    /// It lacks nothing any more.
    Done,
    /// It has what it got before something failed.
    Failed,
    /// It was not begun, since others had failed.
    NotBegun,
    /// It is no tenant that is migrated any more: it was being dropped meanwhile.
    Gone,
    /// Nothing was run: this is what would be.
    Planned,
    /// All was run and rolled back again; what can't run in a transaction, and what comes behind it, was not.
    Rehearsed,
}

/// A migration that a schema got.
#[derive(Clone, Debug, Serialize)]
pub struct Applied {
    /// Its version.
    pub version: i64,
    /// Its name.
    pub name: String,
    /// How long it took, in seconds.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
}

/// Why a schema failed.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// The migration that failed, by its file's name; none if it never came to that.
    pub name: Option<String>,
    /// Where in the file.
    pub place: Option<Place>,
    /// The SQLSTATE, if PostgreSQL gave one.
    pub sqlstate: Option<String>,
    /// What was wrong, and what to do.
    pub message: String,
    /// Where in a function or a block, in PostgreSQL's words.
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

    /// PostgreSQL refused what belongs to a migration, or to none.
    pub(super) fn postgres(migration: Option<&Migration>, error: &tokio_postgres::Error) -> Self {
        let context = error.as_db_error().and_then(DbError::where_).map(str::to_owned);
        let sqlstate = error.code().map(|code| code.code().to_owned());
        Self { sqlstate, context, ..Self::new(migration, postgres_words(error)) }
    }

    /// PostgreSQL refused a file's text from the byte `start` on, of which `done` statements had run.
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

    /// Code failed; its SQLSTATE is that of the PostgreSQL error that it hands on, if it does.
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

    /// Whether it may go well when it is tried again: someone else had a lock.
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

/// What happens in a run, as it happens.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event<'a> {
    /// So many schemas lack something.
    Planned {
        /// How many.
        schemas: usize,
    },
    /// It is a schema's turn.
    Begun {
        /// Which.
        schema: &'a str,
        /// What it is among all.
        stage: Stage,
    },
    /// Another command is at work on the schema, which is waited for.
    Waiting {
        /// Which.
        schema: &'a str,
    },
    /// A lock was not to be had; it is tried again after a pause.
    Retrying {
        /// Which.
        schema: &'a str,
        /// What went wrong.
        failure: &'a Failure,
        /// How often it will have been tried again.
        retry: u32,
    },
    /// The schema has one more.
    Applied {
        /// Which.
        schema: &'a str,
        /// What it has.
        migration: &'a Applied,
    },
    /// A schema is through, well or not.
    Ended {
        /// What became of it.
        outcome: &'a Outcome,
    },
}

/// Is told what happens; a progress bar, say. It is called by many tasks and must not block.
pub type Watch = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}
