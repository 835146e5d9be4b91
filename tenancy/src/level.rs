//! The kinds of statements that a user may run.

/// The levels, in increasing order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Queries, in transactions that PostgreSQL keeps read-only.
    Read,
    /// Also changes of rows, locks and sequences.
    Write,
    /// Also the definition and maintenance of objects.
    Ddl,
    /// Everything that the guard allows.
    #[default]
    All,
}

impl Level {
    /// The name in configuration files.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Read => "read",
            Level::Write => "write",
            Level::Ddl => "ddl",
            Level::All => "all",
        }
    }
}
