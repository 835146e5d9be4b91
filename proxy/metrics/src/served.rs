//! One request, as it is counted.

use std::time::Duration;

use pgstrata_tenancy::Strategy;

/// What a round trip to PostgreSQL was for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// A tenant's statement that only reads.
    TenantRead,
    /// A tenant's statement that may write.
    TenantWrite,
    /// A statement that reaches no tenant's schema, transaction control among them.
    #[default]
    Shared,
}

impl Kind {
    pub(super) const ALL: [Self; 3] = [Self::TenantRead, Self::TenantWrite, Self::Shared];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Kind::TenantRead => "tenant_read",
            Kind::TenantWrite => "tenant_write",
            Kind::Shared => "shared",
        }
    }

    /// Where it stands in [`Kind::ALL`].
    pub(super) fn place(self) -> usize {
        match self {
            Kind::TenantRead => 0,
            Kind::TenantWrite => 1,
            Kind::Shared => 2,
        }
    }
}

/// Where a request stands, for what it would cost a client that sets its path by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naive {
    /// It needs no path, or has it already: by an earlier request of the transaction, or for all of the session.
    AsItIs,
    /// It is the first in its transaction that needs the path: `SET LOCAL search_path` in front of it.
    FirstInTransaction,
    /// It is in no transaction of the client's: `BEGIN`, `SET LOCAL search_path` and `COMMIT` around it.
    Alone,
}

impl Naive {
    /// How many waits on PostgreSQL that would have been.
    pub fn round_trips(self) -> u64 {
        match self {
            Naive::AsItIs => 1,
            Naive::FirstInTransaction => 2,
            Naive::Alone => 4,
        }
    }
}

/// A request that PostgreSQL has answered.
#[derive(Clone, Copy, Debug)]
pub struct Served {
    /// How the tenant's statements reach its schema.
    pub strategy: Strategy,
    /// What it did.
    pub kind: Kind,
    /// Waits on PostgreSQL for it.
    pub round_trips: u64,
    /// What they would have been had the client set the path by itself.
    pub naive: Naive,
    /// From its first byte to PostgreSQL to the last byte of the answer.
    pub query: Duration,
    /// The proxy's own time.
    pub own: Duration,
    /// Bytes that PostgreSQL sent for it.
    pub received: u64,
    /// Bytes that PostgreSQL was sent for it.
    pub sent: u64,
}

impl Served {
    /// Waits on PostgreSQL that were spared. What was waited for more than once is taken off, whoever asked for it.
    pub fn saved(&self) -> u64 {
        self.naive.round_trips().saturating_sub(self.round_trips)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_beyond_the_first_are_taken_off_what_was_saved() {
        for (naive, round_trips, saved) in [
            (Naive::Alone, 1, 3),
            (Naive::Alone, 2, 2),
            (Naive::Alone, 9, 0),
            (Naive::FirstInTransaction, 1, 1),
            (Naive::AsItIs, 1, 0),
            (Naive::AsItIs, 2, 0),
        ] {
            let served = Served {
                strategy: Strategy::SearchPath,
                kind: Kind::TenantRead,
                round_trips,
                naive,
                query: Duration::ZERO,
                own: Duration::ZERO,
                received: 0,
                sent: 0,
            };
            assert_eq!(served.saved(), saved, "{naive:?} {round_trips}");
        }
    }
}
