//! How a transaction begins: PostgreSQL's transaction modes.

use std::fmt;

/// How a transaction begins, for [`Session::begin_with`](crate::Session::begin_with) and
/// [`Session::transaction_with`](crate::Session::transaction_with). It goes with `BEGIN`, so it costs nothing.
///
/// ```
/// use pgstrata_orm::{IsolationLevel, TransactionOptions};
///
/// let report = TransactionOptions::new()
///     .isolation_level(IsolationLevel::Serializable)
///     .read_only(true)
///     .deferrable(true);
/// assert_eq!(report.to_string(), "ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE");
/// assert_eq!(TransactionOptions::new().to_string(), "READ WRITE");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[must_use = "it says how to begin, and begins nothing"]
pub struct TransactionOptions {
    isolation: Option<IsolationLevel>,
    read_only: bool,
    deferrable: bool,
}

/// What a transaction sees of those beside it.
///
/// ```
/// use pgstrata_orm::IsolationLevel;
///
/// assert_eq!(IsolationLevel::RepeatableRead.to_string(), "REPEATABLE READ");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IsolationLevel {
    /// The same as [`IsolationLevel::ReadCommitted`] in PostgreSQL.
    ReadUncommitted,
    /// Each statement sees what was committed before it. PostgreSQL's own default.
    ReadCommitted,
    /// All statements see what was committed before the first of them. A row that another one has changed since can't be changed: that is
    /// a [serialization failure](crate::Error::is_serialization_failure).
    RepeatableRead,
    /// As if one ran after the other. Where that can't be, one of them gets a
    /// [serialization failure](crate::Error::is_serialization_failure), at any statement or as it is committed.
    Serializable,
}

impl TransactionOptions {
    /// Reads and writes, by the isolation level that the database has as its default.
    ///
    /// ```
    /// use pgstrata_orm::TransactionOptions;
    ///
    /// assert_eq!(TransactionOptions::new(), TransactionOptions::default());
    /// ```
    pub const fn new() -> Self {
        Self { isolation: None, read_only: false, deferrable: false }
    }

    /// What it sees of others.
    ///
    /// ```
    /// use pgstrata_orm::{IsolationLevel, TransactionOptions};
    ///
    /// let steady = TransactionOptions::new().isolation_level(IsolationLevel::RepeatableRead);
    /// assert_eq!(steady.to_string(), "ISOLATION LEVEL REPEATABLE READ READ WRITE");
    /// ```
    pub const fn isolation_level(mut self, level: IsolationLevel) -> Self {
        self.isolation = Some(level);
        self
    }

    /// Whether PostgreSQL refuses each write in it, with SQLSTATE 25006.
    ///
    /// ```
    /// use pgstrata_orm::TransactionOptions;
    ///
    /// assert_eq!(TransactionOptions::new().read_only(true).to_string(), "READ ONLY");
    /// ```
    pub const fn read_only(mut self, read_only: bool) -> Self {
        self.read_only = read_only;
        self
    }

    /// Whether its first statement waits until the rest can neither fail for others' sake nor make others fail: for long reports.
    /// PostgreSQL heeds it where the transaction is serializable and read-only, and nowhere else.
    ///
    /// ```
    /// use pgstrata_orm::{IsolationLevel, TransactionOptions};
    ///
    /// let options = TransactionOptions::new().isolation_level(IsolationLevel::Serializable).read_only(true);
    /// assert!(options.deferrable(true).to_string().ends_with("READ ONLY DEFERRABLE"));
    /// ```
    pub const fn deferrable(mut self, deferrable: bool) -> Self {
        self.deferrable = deferrable;
        self
    }
}

impl TransactionOptions {
    /// How SQLite begins one. Its transactions are serializable, each one.
    pub(super) fn of_sqlite(self) -> &'static str {
        match self.read_only {
            true => "PRAGMA query_only = ON; BEGIN",
            // The lock first: to ask for it later may fail.
            false => "BEGIN IMMEDIATE",
        }
    }
}

/// As they stand behind `BEGIN`. Whether it may write is always said: a connection's own default is that it may not.
impl fmt::Display for TransactionOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(level) = self.isolation {
            write!(f, "ISOLATION LEVEL {level} ")?;
        }
        f.write_str(if self.read_only { "READ ONLY" } else { "READ WRITE" })?;
        f.write_str(if self.deferrable { " DEFERRABLE" } else { "" })
    }
}

/// In SQL.
impl fmt::Display for IsolationLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReadUncommitted => "READ UNCOMMITTED",
            Self::ReadCommitted => "READ COMMITTED",
            Self::RepeatableRead => "REPEATABLE READ",
            Self::Serializable => "SERIALIZABLE",
        })
    }
}
