//! What can go wrong, in words for the one who asked.

use std::io;
use std::time::Duration;

use deadpool::managed::PoolError;
use pgstrata_control::error::{pool_words, postgres_words};
use pgstrata_tenancy::TenantIdError;
use pgstrata_tenancy::layers::LayerError;
use tokio_postgres::error::SqlState;

use crate::{DatabaseKind, RowError};

/// Why something was not done.
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # async fn example(em: EntityManager, user: User) -> Result<(), Error> {
/// match em.save(&user).await {
///     Err(error) if error.is_duplicate() => println!("there is one of that name"),
///     Err(error @ (Error::Tenant { .. } | Error::Reserved(_))) => println!("no tenant: {error}"),
///     other => drop(other?),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The context's name can be no tenant's.
    #[error("\"{}\" cannot be a tenant: {source}", shortened(.name))]
    Tenant {
        /// As it was given.
        name: String,
        /// What is wrong with it.
        source: TenantIdError,
    },
    /// The context's name is that of a schema which is nobody's.
    #[error("\"{0}\" cannot be a tenant: it is a schema of PostgreSQL or of pgstrata, or a shared schema")]
    Reserved(String),
    /// Rows of a tenant's own were asked for outside of any context, and [`MissingTenant::Reject`](crate::MissingTenant::Reject) is set.
    #[error(
        "no tenant is set for {0}: call it in MetadataContext::run(..) or on EntityManager::tenant(..); \
         for the schema public, call it on EntityManager::public()"
    )]
    NoTenant(String),
    /// A row of another tenant's was to be written, by a strategy with a tenant's column.
    #[error("a row of {entity} belongs to tenant \"{found}\", and cannot be written for tenant \"{tenant}\"")]
    OtherTenant {
        /// The entity.
        entity: &'static str,
        /// Whose the row says that it is.
        found: String,
        /// Whose statement it is.
        tenant: String,
    },
    /// A strategy of databases knows none for the tenant.
    #[error("tenant \"{0}\" has no database: the strategy gives no URL for it")]
    NoDatabase(String),
    /// What can't be kept to one tenant's rows was asked for, by a strategy with a tenant's column.
    #[error(
        "{0} cannot be limited to the rows of one tenant: for the rows of all tenants, use without_tenant_scope(..)"
    )]
    Unscoped(String),
    /// A query was made in the context of one tenant, and is awaited in that of another.
    #[error(
        "a query was created in the context of tenant \"{made}\" and awaited in that of \"{awaited}\": await it where it was created"
    )]
    ContextChanged {
        /// Whose context it was made in.
        made: String,
        /// Whose context it is awaited in.
        awaited: String,
    },
    /// Tenants can have no schemas there.
    #[error("tenants in schemas need PostgreSQL: {0} has none")]
    Unsupported(DatabaseKind),
    /// The options can't be used.
    #[error("{0}")]
    Options(String),
    /// No connection.
    #[error("no connection to PostgreSQL: {}{}", pool_words(.0), crate::tls::hint(.0))]
    Connect(#[source] PoolError<tokio_postgres::Error>),
    /// PostgreSQL refused it, or was not there to answer.
    #[error("{doing}: {}", postgres_words(.source))]
    Postgres {
        /// What was being done.
        doing: String,
        /// What PostgreSQL says.
        #[source]
        source: tokio_postgres::Error,
        /// Whether the query timeout had run out by then: see [`Error::is_timeout`].
        timed_out: bool,
    },
    /// There was no answer within the query timeout, not even that PostgreSQL has stopped the statement: the connection is closed.
    #[error("{doing}: no answer within {} ms: the statement was cancelled and its connection closed", .after.as_millis())]
    Timeout {
        /// What was being done.
        doing: String,
        /// The query timeout.
        after: Duration,
    },
    /// The connection was lost while a transaction was being committed: it may be committed or not.
    #[error("the connection was lost while committing: whether the transaction was committed is not known")]
    CommitUnknown {
        /// What the driver says; nothing where the query timeout ran out.
        source: Option<tokio_postgres::Error>,
    },
    /// A column's type has operators of its own, which are not on the tenant's path: others would be taken in their place.
    #[error(
        "the operators of type {sql_type} are in schema \"{schema}\", which is not on the tenant's path: move its extension to a \
         separate schema (ALTER EXTENSION .. SET SCHEMA extensions), and add that to Options::shared_schemas"
    )]
    Operators {
        /// The type, as the entity writes it.
        sql_type: String,
        /// Where its operators are.
        schema: String,
    },
    /// Two savepoints of one transaction are used side by side: undoing one would undo a part of the other.
    #[error(
        "another savepoint of this transaction is open: savepoints of one transaction can be nested, not used in parallel"
    )]
    Interleaved,
    /// SQLite refused it.
    #[cfg(feature = "sqlite")]
    #[error("{doing}: {source}")]
    Sqlite {
        /// What was being done.
        doing: String,
        /// What SQLite says.
        source: crate::SqliteError,
    },
    /// A row has something else than what it is read as.
    #[error("{doing}: {source}")]
    Row {
        /// What was being done.
        doing: String,
        /// Which column, and why.
        source: RowError,
    },
    /// The entity was not given to `register`.
    #[error("entity {0} is not registered: add it to the options of EntityManager::register")]
    Unregistered(&'static str),
    /// A name in the metadata can be no name in PostgreSQL.
    #[error("{what} of entity {entity} has the invalid name {name:?}: a name has 1 to 63 bytes and no NUL")]
    Name {
        /// Whose it is.
        entity: &'static str,
        /// What it names.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// Metadata were not changed.
    #[error(transparent)]
    Metadata(#[from] LayerError),
    /// Rows that were to be saved did not come back.
    #[error("{saved} of {of} rows of {entity} were saved: a trigger in the database discarded the others")]
    Suppressed {
        /// Whose rows.
        entity: &'static str,
        /// How many came back.
        saved: usize,
        /// How many there were to be.
        of: usize,
    },
    /// All rows would be changed or deleted.
    #[error(
        "this would change every row of {0}: select rows with where_(..), or all of them with everywhere()"
    )]
    Unfiltered(&'static str),
    /// A row is not as it was read: somebody else has changed or deleted it since.
    #[error("the row of {0} was changed or deleted since it was read: read it again")]
    Stale(&'static str),
    /// A change that sets nothing.
    #[error("the update of {0} sets no column: use set(..)")]
    NothingSet(&'static str),
    /// The hooks of an entity find something wrong with a row, which is not saved: see [`Hooks::validate`](crate::Hooks::validate).
    #[error("the row of {entity} is not saved: {source}")]
    Invalid {
        /// The entity.
        entity: &'static str,
        /// What is wrong.
        source: crate::Invalid,
    },
    /// SQL that begins or ends a transaction by itself.
    #[error(
        "{0} in raw SQL would leave the tenant's transaction: use transaction(..), begin() or savepoint(..)"
    )]
    TransactionControl(String),
    /// A transaction is used in the context of another tenant.
    #[error("a transaction of \"{transaction}\" is used in the context of \"{context}\"")]
    TenantChanged {
        /// Whose transaction it is.
        transaction: String,
        /// Whose context it is.
        context: String,
    },
    /// The transaction could not be committed, and was rolled back.
    #[error(
        "the transaction was rolled back: a statement or a savepoint in it failed, or was dropped before it finished, or the \
         connection was lost"
    )]
    Aborted,
    /// A table lacks what its entity has.
    #[error("table {table} lacks columns of its entity: {}; synchronize only creates tables, so migrate it", .columns.join(", "))]
    Outdated {
        /// The table.
        table: String,
        /// What it lacks.
        columns: Vec<String>,
    },
    /// A table has columns of another type than its entity, or such as may be NULL where its may not, or the other way round.
    #[error("table {table} is not as its entity says: {}; synchronize changes no table, so migrate it, or say it in #[column(type = \"..\")]", .columns.join("; "))]
    Differs {
        /// The table.
        table: String,
        /// How each of its columns differs.
        columns: Vec<String>,
    },
    /// Something with tenants' schemas.
    #[error(transparent)]
    Control(#[from] pgstrata_control::Error),
}

impl Error {
    pub(crate) fn row(doing: impl Into<String>) -> impl FnOnce(RowError) -> Self {
        let doing = doing.into();
        move |source| Self::Row { doing, source }
    }

    /// The SQLSTATE, where PostgreSQL gave one.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # use pgstrata_orm::tokio_postgres::error::SqlState;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// match em.find::<Post>().await {
    ///     Err(error) if error.sqlstate() == Some(&SqlState::UNDEFINED_TABLE) => println!("the tenant has no schema"),
    ///     other => drop(other?),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn sqlstate(&self) -> Option<&SqlState> {
        match self {
            Self::Postgres { source, .. } => source.code(),
            Self::Connect(PoolError::Backend(source)) => source.code(),
            _ => None,
        }
    }

    /// Whether it took longer than it may: a statement ([`Options::query_timeout`](crate::Options::query_timeout), or PostgreSQL's own
    /// `statement_timeout`), the wait for a connection ([`Options::wait_timeout`](crate::Options::wait_timeout)), or connecting
    /// ([`Options::connect_timeout`](crate::Options::connect_timeout)).
    ///
    /// A statement that somebody cancels is none of these. PostgreSQL gives both the same SQLSTATE (57014), and tells them apart by its message
    /// alone. Where that is not in English, a cancelled statement counts as timed out if the query timeout had passed by our own clock.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example() -> Result<(), Error> {
    /// let options = options().query_timeout(std::time::Duration::from_millis(100));
    /// let em = EntityManager::register(options).await?;
    /// let slow = em.query("SELECT pg_sleep(1)", &[]).await;
    /// assert!(slow.is_err_and(|error| error.is_timeout()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::Postgres { source, timed_out, .. } => match source.as_db_error() {
                Some(error) if *error.code() == SqlState::QUERY_CANCELED => {
                    is_statement_timeout(error.message()).unwrap_or(*timed_out)
                }
                _ => false,
            },
            Self::Timeout { .. } | Self::CommitUnknown { source: None } => true,
            Self::Connect(error) | Self::Control(pgstrata_control::Error::Connect(error)) => {
                has_waited_too_long(error)
            }
            _ => false,
        }
    }

    /// Whether a transaction was given up because of what another one beside it has changed (40001): a serializable one, or one of
    /// repeatable reads.
    ///
    /// ```no_run
    /// # use pgstrata_orm::{Error, Transaction};
    /// # async fn example(tx: Transaction) -> Result<(), Error> {
    /// match tx.commit().await {
    ///     Err(error) if error.is_serialization_failure() => println!("somebody else was faster"),
    ///     other => other?,
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_serialization_failure(&self) -> bool {
        self.sqlstate() == Some(&SqlState::T_R_SERIALIZATION_FAILURE)
    }

    /// Whether the same transaction may succeed if it is done again from its beginning: after a serialization failure (40001), or a
    /// deadlock (40P01).
    ///
    /// ```no_run
    /// # use pgstrata_orm::{Entity, EntityManager, Error};
    /// # async fn example<User: Entity>(em: EntityManager, user: User) -> Result<User, Error> {
    /// match em.save(&user).await {
    ///     Err(error) if error.is_retryable() => em.save(&user).await,
    ///     other => other,
    /// }
    /// # }
    /// ```
    pub fn is_retryable(&self) -> bool {
        #[cfg(feature = "sqlite")]
        if let Self::Sqlite { source, .. } = self {
            return source.is_retryable();
        }
        self.is_serialization_failure() || self.sqlstate() == Some(&SqlState::T_R_DEADLOCK_DETECTED)
    }

    /// Whether the connection was lost, or could not be made. A statement that changes something may have done so all the same; one that
    /// reads was tried on another connection already, unless it was part of a transaction.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(tx: Transaction) -> Result<(), Error> {
    /// match tx.commit().await {
    ///     Err(error @ Error::CommitUnknown { .. }) => println!("look whether it is there: {error}"),
    ///     Err(error) if error.is_disconnected() => println!("PostgreSQL is gone"),
    ///     other => other?,
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_disconnected(&self) -> bool {
        match self {
            Self::Postgres { source, .. } => crate::connection::is_disconnected(source),
            Self::CommitUnknown { .. } | Self::Connect(PoolError::Backend(_)) => true,
            _ => false,
        }
    }

    /// Whether a row with the same unique value is there already.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let user = User { name: "Alice".into(), email: Some("alice@example.com".into()), ..User::default() };
    /// em.save(&user).await?;
    /// assert!(em.save(&user).await.is_err_and(|error| error.is_duplicate()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_duplicate(&self) -> bool {
        #[cfg(feature = "sqlite")]
        if let Self::Sqlite { source, .. } = self {
            return source.is_duplicate();
        }
        self.sqlstate() == Some(&SqlState::UNIQUE_VIOLATION)
    }
}

/// Whether a statement was cancelled by `statement_timeout`, as far as PostgreSQL's message says so in English.
fn is_statement_timeout(message: &str) -> Option<bool> {
    match message {
        "canceling statement due to statement timeout" => Some(true),
        "canceling statement due to user request" => Some(false),
        _ => None,
    }
}

/// Whether it was the pool's patience that ended, or that of the connection's own settings.
fn has_waited_too_long(error: &PoolError<tokio_postgres::Error>) -> bool {
    match error {
        PoolError::Timeout(_) => true,
        PoolError::Backend(error) => std::error::Error::source(error)
            .and_then(|error| error.downcast_ref::<io::Error>())
            .is_some_and(|error| error.kind() == io::ErrorKind::TimedOut),
        _ => false,
    }
}

/// A name from outside may be as long as it likes.
fn shortened(name: &str) -> String {
    name.chars().take(80).flat_map(char::escape_debug).collect()
}
