//! Between two attempts to connect there is a pause that grows, of a random length.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pgstrata_simulation::chance;
use tokio::time::Instant;

/// The first pause and the longest, before a random factor from 0.5 to 1.5.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// What is known of the last attempts.
#[derive(Debug)]
pub struct Backoff<E>(Mutex<Option<Failure<E>>>);

#[derive(Debug)]
struct Failure<E> {
    error: Arc<E>,
    /// How many there were in a row.
    count: u32,
    until: Instant,
}

impl<E> Default for Backoff<E> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<E> Backoff<E> {
    /// The last attempt's error, if it is too early for another; and how long that is so.
    pub fn holds(&self) -> Option<(Arc<E>, Duration)> {
        let failure = self.lock();
        let failure = failure.as_ref()?;
        let left = failure.until.checked_duration_since(Instant::now())?;
        Some((Arc::clone(&failure.error), left))
    }

    /// The last attempt's error, if that was not a good one.
    pub fn last(&self) -> Option<Arc<E>> {
        self.lock().as_ref().map(|failure| Arc::clone(&failure.error))
    }

    /// An attempt failed. Another is too early for a while, however little hope there is for it.
    pub fn failed(&self, error: Arc<E>) {
        let mut failure = self.lock();
        let count = failure.as_ref().map_or(0, |failure| failure.count);
        let pause = PAUSES.0.saturating_mul(1 << count.min(16)).min(PAUSES.1);
        let until = Instant::now() + pause.mul_f64(chance::between(0.5..1.5));
        *failure = Some(Failure { error, count: count.saturating_add(1), until });
    }

    /// One went well.
    pub fn succeeded(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<Failure<E>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        let backoff = Backoff::default();
        assert!(backoff.holds().is_none());
        let mut longest = Duration::ZERO;
        for count in 0..40 {
            backoff.failed(Arc::new("refused"));
            let (_, pause) = backoff.holds().unwrap();
            assert!(pause < PAUSES.1 * 3 / 2, "{pause:?} after {count}");
            longest = longest.max(pause);
        }
        assert!(backoff.last().is_some());
        assert!(longest > PAUSES.1 / 2 - Duration::from_millis(100), "{longest:?}");
        backoff.succeeded();
        assert!(backoff.holds().is_none() && backoff.last().is_none());
    }
}
