//! How long something is believed: a time that can be changed while it is asked for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A time, to the millisecond.
#[derive(Debug)]
pub(super) struct Lasting(AtomicU64);

impl Lasting {
    /// This time.
    pub(super) fn new(time: Duration) -> Self {
        Self(AtomicU64::new(millis(time)))
    }

    /// The time as it is now.
    pub(super) fn get(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }

    /// This time from now on.
    pub(super) fn set(&self, time: Duration) {
        self.0.store(millis(time), Ordering::Relaxed);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
