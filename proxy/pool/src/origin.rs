//! The moment that the times of clients and servers count from.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// The moment that microseconds count from, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    instant: Instant,
    time: SystemTime,
}

impl Origin {
    /// This moment.
    pub fn now() -> Self {
        Self { instant: Instant::now(), time: SystemTime::now() }
    }

    /// That moment, in microseconds; never 0, which stands for none.
    pub fn micros(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.instant).as_micros();
        u64::try_from(since).unwrap_or(u64::MAX).max(1)
    }

    /// What the clock on the wall showed then.
    pub fn time(&self, micros: u64) -> SystemTime {
        self.time + Duration::from_micros(micros)
    }
}
