//! The errors of this crate.

use deadpool_postgres::PoolError;

use crate::migrate::Invalid;

/// Why an operation failed. Each change is one transaction, so nothing is left incomplete.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A name that no tenant's schema can have.
    #[error("\"{name}\" cannot be the schema of a tenant: {why}")]
    Name {
        /// The given name.
        name: String,
        /// The reason.
        why: &'static str,
    },
    /// No connection.
    #[error("no connection to PostgreSQL: {}", pool_words(.0))]
    Connect(#[source] PoolError),
    /// PostgreSQL refused a statement.
    #[error("{doing}: {}", postgres_words(.source))]
    Postgres {
        /// The operation.
        doing: String,
        /// PostgreSQL's error.
        #[source]
        source: tokio_postgres::Error,
    },
    /// There is no such schema.
    #[error("there is no schema \"{0}\"")]
    Missing(String),
    /// There is such a schema already.
    #[error("schema \"{0}\" already exists")]
    Exists(String),
    /// An archive is restored under its original name, and a schema with that name exists.
    #[error(
        "schema \"{archived}\" already exists, and the archive is restored under that name before it is renamed to \
         \"{wanted}\". Rename the existing tenant with `pgstrata tenant rename` (its clients are refused meanwhile), \
         import the file, and rename the tenant back"
    )]
    ArchivedNameTaken {
        /// The name in the archive.
        archived: String,
        /// The name for the imported schema.
        wanted: String,
    },
    /// The migrations are invalid.
    #[error(transparent)]
    Migrations(#[from] Invalid),
    /// Not possible in the current state.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    /// An error of PostgreSQL during `doing`.
    pub fn postgres(doing: impl Into<String>) -> impl FnOnce(tokio_postgres::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Postgres { doing, source }
    }

    /// The SQLSTATE, if the error is PostgreSQL's.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Postgres { source, .. } => source.code().map(tokio_postgres::error::SqlState::code),
            _ => None,
        }
    }
}

/// Why the pool gave no connection: PostgreSQL's message, if the error is PostgreSQL's.
pub fn pool_words(error: &PoolError) -> String {
    match error {
        PoolError::Backend(error) => postgres_words(error),
        other => other.to_string(),
    }
}

/// PostgreSQL's message, which its error's Display omits: message, SQLSTATE, detail and hint.
pub fn postgres_words(error: &tokio_postgres::Error) -> String {
    let Some(db) = error.as_db_error() else {
        let source = std::error::Error::source(error).map(|source| format!(": {source}"));
        return format!("{error}{}", source.unwrap_or_default());
    };
    let mut words = format!("{} ({})", db.message(), db.code().code());
    for more in [db.detail(), db.hint()].into_iter().flatten() {
        words = format!("{words}. {}", more.trim_end_matches('.'));
    }
    words
}
