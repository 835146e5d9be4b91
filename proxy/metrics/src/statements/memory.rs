//! How many bytes the statistics take, and how many they may.

use std::sync::atomic::{AtomicU64, Ordering};

/// The bytes of all statistics by statement, and of refusals.
#[derive(Debug)]
pub(super) struct Memory {
    /// 0: nothing is counted.
    limit: AtomicU64,
    used: AtomicU64,
}

impl Memory {
    /// Nothing is used of `limit` bytes.
    pub(super) fn new(limit: u64) -> Self {
        Self { limit: AtomicU64::new(limit), used: AtomicU64::new(0) }
    }

    #[inline]
    pub(super) fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }

    pub(super) fn set_limit(&self, limit: u64) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    pub(super) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Whether room must be made before so many bytes more are used.
    pub(super) fn is_short_of(&self, bytes: u64) -> bool {
        let limit = self.limit();
        self.used().saturating_add(bytes) > limit - limit / 32
    }

    /// Takes so many bytes, if they are free.
    pub(super) fn take(&self, bytes: u64) -> bool {
        // Others may be at it, too: what is above the limit is given back.
        let fits = self.used.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes) <= self.limit();
        if !fits {
            self.give(bytes);
        }
        fits
    }

    /// Takes so many bytes, whatever the limit is.
    pub(super) fn take_anyway(&self, bytes: u64) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So many bytes are not used any more.
    pub(super) fn give(&self, bytes: u64) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}
