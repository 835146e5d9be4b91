//! So many requests a second, and some at once: a bucket of tokens.
//!
//! It is kept as the moment at which it would be full again, in one number: taking a token moves that by the time
//! between two tokens. Whoever finds none knows at once how long it has to wait, and has its place by having asked.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::config::Rate;

/// A bucket.
#[derive(Debug)]
pub(super) struct Bucket {
    /// Between two tokens, in nanoseconds; 0: there is no limit.
    interval: AtomicU64,
    /// The tokens of a full one, in the time that they take to come.
    room: AtomicU64,
    /// When it is full, in nanoseconds from `origin`.
    full_at: AtomicU64,
    origin: Instant,
}

impl Bucket {
    /// A full one.
    pub(super) fn new(rate: Option<Rate>) -> Self {
        let bucket = Self {
            interval: AtomicU64::new(0),
            room: AtomicU64::new(0),
            full_at: AtomicU64::new(0),
            origin: Instant::now(),
        };
        bucket.set(rate);
        bucket
    }

    /// Tokens come like that from now on; where that is another rule, it is full.
    pub(super) fn set(&self, rate: Option<Rate>) {
        let interval = rate.map_or(0, |rate| 1_000_000_000 / u64::from(rate.per_second.max(1)));
        let room = rate.map_or(0, |rate| interval.saturating_mul(u64::from(rate.burst)));
        let before = (self.interval.load(Ordering::Relaxed), self.room.swap(room, Ordering::Relaxed));
        if before != (interval, room) {
            // What was owed by another rule is no more.
            self.full_at.store(0, Ordering::Relaxed);
            self.interval.store(interval, Ordering::Relaxed);
        }
    }

    /// Whether there is a limit.
    #[inline]
    pub(super) fn is_limited(&self) -> bool {
        self.interval.load(Ordering::Relaxed) != 0
    }

    /// Takes a token, and gives the time that it takes to come; `None`, and none is taken, where that is longer than
    /// `patience`.
    pub(super) fn take(&self, now: Instant, patience: Duration) -> Option<Duration> {
        let interval = self.interval.load(Ordering::Relaxed);
        if interval == 0 {
            return Some(Duration::ZERO);
        }
        let now = nanoseconds(now.saturating_duration_since(self.origin));
        // With less room than for one, none would ever come at once.
        let room = self.room.load(Ordering::Relaxed).max(interval);
        let next = |full_at: u64| full_at.max(now).saturating_add(interval);
        let wait = |full_at: u64| next(full_at).saturating_sub(now.saturating_add(room));
        let patience = nanoseconds(patience);
        let taken = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| {
            (wait(full_at) <= patience).then(|| next(full_at))
        });
        taken.ok().map(|full_at| Duration::from_nanos(wait(full_at)))
    }

    /// Gives a token back that was not used.
    pub(super) fn give_back(&self) {
        let interval = self.interval.load(Ordering::Relaxed);
        let earlier = |full_at: u64| Some(full_at.saturating_sub(interval));
        // It always takes a value.
        let _ = self.full_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, earlier);
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(per_second: u32, burst: u32) -> Option<Rate> {
        Some(Rate { per_second, burst })
    }

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn as_many_as_the_burst_come_at_once_and_the_others_in_a_row() {
        let bucket = Bucket::new(rate(10, 3));
        let now = bucket.origin + Duration::from_secs(100);
        let long = Duration::from_secs(60);
        let waits: Vec<_> = (0..6).map(|_| bucket.take(now, long).unwrap().as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 100, 200, 300]);
        assert_eq!(bucket.take(now, 399 * MS), None, "its patience is too short");
        assert_eq!(bucket.take(now, 400 * MS), Some(400 * MS), "who got none has taken none");
        bucket.give_back();
        assert_eq!(bucket.take(now, long), Some(400 * MS));
        // It fills as time passes, up to the burst.
        let later = now + Duration::from_secs(3600);
        let waits: Vec<_> = (0..4).map(|_| bucket.take(later, long).unwrap().as_millis()).collect();
        assert_eq!(waits, [0, 0, 0, 100]);
    }

    #[test]
    fn limit_comes_changes_and_goes() {
        let bucket = Bucket::new(None);
        let now = bucket.origin;
        assert!(!bucket.is_limited());
        assert!((0..1000).all(|_| bucket.take(now, Duration::ZERO) == Some(Duration::ZERO)));
        bucket.set(rate(1, 1));
        assert_eq!(bucket.take(now, Duration::ZERO), Some(Duration::ZERO));
        assert_eq!(bucket.take(now, Duration::ZERO), None);
        bucket.set(rate(1000, 1000));
        assert_eq!(bucket.take(now, Duration::ZERO), Some(Duration::ZERO));
        bucket.set(None);
        assert_eq!(bucket.take(now, Duration::ZERO), Some(Duration::ZERO));
    }
}
