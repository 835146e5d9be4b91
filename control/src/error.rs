//! What can go wrong, in words for the one who asked.

use deadpool_postgres::PoolError;

use crate::migrate::Invalid;

/// Why something was not done. Nothing is half made: what is changed stands in one transaction.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No schema of a tenant's can be called that.
    #[error("\"{name}\" can not be a tenant's schema: {why}")]
    Name {
        /// As it was given.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// No connection.
    #[error("no connection to PostgreSQL: {}", pool_words(.0))]
    Connect(#[source] PoolError),
    /// PostgreSQL refused it.
    #[error("{doing}: {}", postgres_words(.source))]
    Postgres {
        /// What was being done.
        doing: String,
        /// What PostgreSQL says.
        #[source]
        source: tokio_postgres::Error,
    },
    /// There is no such schema.
    #[error("there is no schema \"{0}\"")]
    Missing(String),
    /// There is such a schema already.
    #[error("schema \"{0}\" is there already")]
    Exists(String),
    /// An archive is restored under the name that it had, and a schema has that.
    #[error(
        "schema \"{archived}\" is there already, and the archive is restored under that name before it becomes \
         \"{wanted}\". Rename the tenant that has the name for that time (its clients are refused meanwhile): \
         pgstrata tenant rename, import, and rename it back"
    )]
    ArchivedNameTaken {
        /// The name in the archive.
        archived: String,
        /// The name that it is to get.
        wanted: String,
    },
    /// The migrations are not as they have to be.
    #[error(transparent)]
    Migrations(#[from] Invalid),
    /// It can't be done with things as they are.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    /// An error of PostgreSQL's while `doing` something.
    pub fn postgres(doing: impl Into<String>) -> impl FnOnce(tokio_postgres::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Postgres { doing, source }
    }

    /// The SQLSTATE, where PostgreSQL gave one.
    pub fn sqlstate(&self) -> Option<&str> {
        match self {
            Self::Postgres { source, .. } => source.code().map(tokio_postgres::error::SqlState::code),
            _ => None,
        }
    }
}

/// Why a pool gave no connection: PostgreSQL's own words, if they are that.
pub fn pool_words(error: &PoolError) -> String {
    match error {
        PoolError::Backend(error) => postgres_words(error),
        other => other.to_string(),
    }
}

/// PostgreSQL's own words, which its error's Display leaves out: message, SQLSTATE, detail and hint.
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
