//! The counters of one client. Only its session writes them, so an increment is a load and a store, without a transfer
//! of the cache line.

use std::sync::atomic::{AtomicU64, Ordering};

/// The number of counters.
const COUNTS: usize = 12;

/// The counters of one client. Times are in microseconds.
#[derive(Debug, Default)]
pub struct Counts([AtomicU64; COUNTS]);

/// The same as plain numbers, of one client or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums([u64; COUNTS]);

/// The index of a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count(usize);

impl Counts {
    /// How often a client got a server.
    pub const ASSIGNMENTS: Count = Count(0);
    /// Finished transactions.
    pub const TRANSACTIONS: Count = Count(1);
    /// Requests that PostgreSQL has answered: a `Query`, or a pipeline up to its `Sync`.
    pub const QUERIES: Count = Count(2);
    /// Bytes from clients.
    pub const RECEIVED: Count = Count(3);
    /// Bytes to clients.
    pub const SENT: Count = Count(4);
    /// Time for which transactions had a server.
    pub const TRANSACTION_TIME: Count = Count(5);
    /// PostgreSQL's time for requests.
    pub const QUERY_TIME: Count = Count(6);
    /// Time for which clients waited for a server.
    pub const WAIT_TIME: Count = Count(7);
    /// Statements that clients prepared by name.
    pub const CLIENT_PARSES: Count = Count(8);
    /// Statements that were prepared on servers for them.
    pub const SERVER_PARSES: Count = Count(9);
    /// `Bind` messages of such statements.
    pub const BINDS: Count = Count(10);
    /// Logins.
    pub const LOGINS: Count = Count(11);

    /// Adds to a counter. Only the client's own session may call it: concurrent additions would be lost.
    #[inline]
    pub fn add(&self, count: Count, more: u64) {
        if let Some(count) = self.0.get(count.0) {
            count.store(count.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
        }
    }

    /// Adds a time to a counter.
    #[inline]
    pub fn add_time(&self, count: Count, time: std::time::Duration) {
        self.add(count, u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
    }

    /// The current values.
    pub fn sums(&self) -> Sums {
        Sums(std::array::from_fn(|at| self.0.get(at).map_or(0, |count| count.load(Ordering::Relaxed))))
    }
}

impl Sums {
    /// The value of one counter.
    pub fn of(&self, count: Count) -> u64 {
        self.0.get(count.0).copied().unwrap_or_default()
    }

    /// Adds others to these.
    pub fn add(&mut self, others: &Self) {
        for (sum, other) in self.0.iter_mut().zip(others.0) {
            *sum = sum.saturating_add(other);
        }
    }

    /// The increase since `before`.
    pub fn since(&self, before: &Self) -> Self {
        let mut since = *self;
        for (sum, before) in since.0.iter_mut().zip(before.0) {
            *sum = sum.saturating_sub(before);
        }
        since
    }
}
