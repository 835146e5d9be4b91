//! Names and numbers that all schemas of a database share: channels, keys of advisory locks, prepared transactions.

/// Who shares the names of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeySpace {
    /// Each tenant has its own.
    #[default]
    Tenant,
    /// The whole database, as in PostgreSQL.
    Shared,
    /// Not allowed: a statement that uses one is refused.
    Refuse,
}

/// The settings of a tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeySpaces {
    /// `LISTEN`, `NOTIFY`.
    pub channels: KeySpace,
    /// `pg_advisory_lock` and the related functions.
    pub advisory_locks: KeySpace,
    /// `PREPARE TRANSACTION`.
    pub two_phase: KeySpace,
}
