//! Which tenants were active lately, so that a tenant that is alone has the machine to itself.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use crate::pool::fair::here;

/// The number of threads that note requests side by side; with more, some share a place, and one of their tenants may
/// be missed.
const THREADS: usize = 64;
/// A tenant is active for so long behind a request.
const ACTIVE: Duration = Duration::from_secs(1);

/// The last two tenants of each thread.
pub(super) struct Neighbours {
    origin: Instant,
    threads: Box<[Recent]>,
}

/// The last two tenants of a thread. On cache lines of its own, because each request writes to it.
#[derive(Default)]
#[repr(align(128))]
struct Recent {
    newest: Seen,
    before: Seen,
}

/// A tenant, and when it had a request: milliseconds since the origin, 0 for none.
#[derive(Default)]
struct Seen {
    mark: AtomicU64,
    at: AtomicU64,
}

impl Neighbours {
    pub(super) fn new() -> Self {
        let threads = (0..THREADS).map(|_| Recent::default()).collect();
        // Nothing was seen at 0.
        Self { origin: Instant::now(), threads }
    }

    fn at(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.origin).as_millis()).map_or(u64::MAX, |at| at + 1)
    }

    /// The tenant with this mark has had a request.
    #[inline]
    pub(super) fn note(&self, mark: u64, now: Instant) {
        let Some(Recent { newest, before }) = self.threads.get(here() % THREADS) else { return };
        let last = newest.mark.load(Ordering::Relaxed);
        if last != mark {
            before.mark.store(last, Ordering::Relaxed);
            before.at.store(newest.at.load(Ordering::Relaxed), Ordering::Relaxed);
            newest.mark.store(mark, Ordering::Relaxed);
        }
        newest.at.store(self.at(now), Ordering::Relaxed);
    }

    /// Whether another tenant than the one with this mark is active.
    pub(super) fn has_others(&self, mark: u64, now: Instant) -> bool {
        let since = self.at(now).saturating_sub(ACTIVE.as_millis() as u64).max(1);
        let is_active = |seen: &Seen| {
            seen.mark.load(Ordering::Relaxed) != mark && seen.at.load(Ordering::Relaxed) >= since
        };
        self.threads.iter().any(|recent| is_active(&recent.newest) || is_active(&recent.before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_are_active_for_a_while() {
        let (neighbours, now) = (Neighbours::new(), Instant::now());
        assert!(!neighbours.has_others(1, now));
        for _ in 0..3 {
            neighbours.note(1, now);
        }
        assert!(!neighbours.has_others(1, now));
        assert!(neighbours.has_others(2, now));
        neighbours.note(2, now);
        neighbours.note(1, now);
        assert!(neighbours.has_others(1, now));
        let later = now + ACTIVE * 2;
        neighbours.note(1, later);
        assert!(!neighbours.has_others(1, later));
    }
}
