//! Databases that are known by name.

use std::fmt;

use pgstrata_tenancy::Strategy;

use crate::Error;

/// A kind of database. Tenants in schemas are PostgreSQL's alone.
///
/// ```
/// use pgstrata_orm::DatabaseKind;
///
/// assert_eq!(DatabaseKind::default(), DatabaseKind::Postgres);
/// assert_eq!(DatabaseKind::MySql.to_string(), "MySQL");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DatabaseKind {
    /// PostgreSQL.
    #[default]
    Postgres,
    /// MySQL or MariaDB.
    MySql,
    /// SQLite.
    Sqlite,
}

impl DatabaseKind {
    /// What a URL is for, by its scheme.
    ///
    /// ```
    /// use pgstrata_orm::DatabaseKind;
    ///
    /// assert_eq!(DatabaseKind::of_url("mysql://root@localhost/app"), Some(DatabaseKind::MySql));
    /// assert_eq!(DatabaseKind::of_url("localhost"), None);
    /// ```
    pub fn of_url(url: &str) -> Option<Self> {
        match url.split_once(':')?.0 {
            "postgres" | "postgresql" => Some(Self::Postgres),
            "mysql" | "mariadb" => Some(Self::MySql),
            "sqlite" => Some(Self::Sqlite),
            _ => None,
        }
    }

    /// Its name.
    ///
    /// ```
    /// # use pgstrata_orm::DatabaseKind;
    /// assert_eq!(DatabaseKind::Postgres.as_str(), "PostgreSQL");
    /// ```
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Postgres => "PostgreSQL",
            Self::MySql => "MySQL",
            Self::Sqlite => "SQLite",
        }
    }

    /// What a strategy comes to there: nothing, where a tenant can have no schema.
    ///
    /// ```
    /// use pgstrata_orm::{DatabaseKind, Strategy};
    ///
    /// assert_eq!(DatabaseKind::Postgres.strategy(Strategy::SearchPath), Some(Strategy::SearchPath));
    /// assert_eq!(DatabaseKind::Sqlite.strategy(Strategy::SearchPath), None);
    /// ```
    pub fn strategy(self, wanted: Strategy) -> Option<Strategy> {
        (self == Self::Postgres).then_some(wanted)
    }

    /// Whether tenants can have schemas there.
    ///
    /// ```
    /// # use pgstrata_orm::DatabaseKind;
    /// let refused = DatabaseKind::Sqlite.require_schemas().unwrap_err();
    /// assert_eq!(refused.to_string(), "tenants in schemas need PostgreSQL: SQLite has none");
    /// ```
    ///
    /// # Errors
    /// [`Error::Unsupported`] for all but PostgreSQL.
    pub fn require_schemas(self) -> Result<(), Error> {
        match self {
            Self::Postgres => Ok(()),
            other => Err(Error::Unsupported(other)),
        }
    }
}

impl fmt::Display for DatabaseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
