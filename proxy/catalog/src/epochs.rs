//! Counters that tell whether something was invalidated since.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use foldhash::fast::FixedState;
use tokio::sync::Notify;

use crate::chance;

/// Schemas that share one are invalidated together, which costs a load.
const SLOTS: usize = 4096;

/// Those who wait for news of schemas that share one are woken together, which costs a look.
const BELLS: usize = 64;

/// One counter for some of the schemas each, and one for all of them. Its size is fixed.
pub(super) struct Epochs {
    all: AtomicU64,
    slots: Box<[AtomicU64]>,
    announcements: Arc<Announcements>,
}

/// Tells of invalidations, whatever epochs count them: those of all clusters of a database have one in common. What is
/// invalidated by one of them stays valid for the others.
pub struct Announcements {
    /// Of whatever schema.
    changes: AtomicU64,
    bells: Box<[Notify]>,
    hasher: FixedState,
}

impl Default for Announcements {
    fn default() -> Self {
        let bells = (0..BELLS).map(|_| Notify::new()).collect();
        let hasher = FixedState::with_seed(chance::number());
        Self { changes: AtomicU64::new(1), bells, hasher }
    }
}

impl Announcements {
    fn ring(&self, schema: &str) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.bell(schema).inspect(|bell| bell.notify_waiters());
    }

    fn ring_all(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.bells.iter().for_each(Notify::notify_waiters);
    }

    fn bell(&self, schema: &str) -> Option<&Notify> {
        let bell = self.hasher.hash_one(schema) % BELLS as u64;
        self.bells.get(bell as usize)
    }
}

impl Default for Epochs {
    fn default() -> Self {
        Self::new()
    }
}

impl Epochs {
    /// Nothing was invalidated yet. Others have announcements of their own.
    pub(super) fn new() -> Self {
        Self::announced_by(Arc::default())
    }

    /// The same, whose invalidations these `announcements` tell of.
    pub(super) fn announced_by(announcements: Arc<Announcements>) -> Self {
        let slots = (0..SLOTS).map(|_| AtomicU64::new(0)).collect();
        Self { all: AtomicU64::new(0), slots, announcements }
    }

    /// Changes when `schema` was invalidated, or all.
    pub(super) fn of(&self, schema: &str) -> u64 {
        let own = self.slot(schema).map_or(0, |epoch| epoch.load(Ordering::Acquire));
        // Both only grow, so their sum changes when one of them does.
        own + self.all()
    }

    /// Changes when all were invalidated.
    pub(super) fn all(&self) -> u64 {
        self.all.load(Ordering::Acquire)
    }

    /// Changes when anything was invalidated that is announced here. Never 0.
    pub(super) fn changes(&self) -> u64 {
        self.announcements.changes.load(Ordering::Acquire)
    }

    /// Done once `schema` was invalidated, from this call on, or all; at times when another was.
    pub(super) fn news(&self, schema: &str) -> impl Future<Output = ()> + use<'_> {
        let news = self.announcements.bell(schema).map(Notify::notified);
        async move {
            match news {
                Some(news) => news.await,
                None => std::future::pending().await,
            }
        }
    }

    pub(super) fn bump(&self, schema: &str) {
        if let Some(epoch) = self.slot(schema) {
            epoch.fetch_add(1, Ordering::AcqRel);
        }
        // Behind the schema's own: who sees this one sees that one too.
        self.announcements.ring(schema);
    }

    pub(super) fn bump_all(&self) {
        self.all.fetch_add(1, Ordering::AcqRel);
        self.announcements.ring_all();
    }

    fn slot(&self, schema: &str) -> Option<&AtomicU64> {
        let slot = self.announcements.hasher.hash_one(schema) % SLOTS as u64;
        self.slots.get(slot as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn news_from_before_they_are_awaited_are_not_missed() {
        let epochs = Epochs::new();
        let (changes, own, other) = (epochs.changes(), epochs.of("a"), epochs.all());
        let news = epochs.news("a");
        epochs.bump("a");
        news.await;
        assert!(epochs.changes() > changes && epochs.of("a") > own && epochs.all() == other);
        let news = epochs.news("b");
        epochs.bump_all();
        news.await;
        assert!(epochs.all() > other);
    }

    #[tokio::test]
    async fn what_one_of_several_invalidates_is_announced_to_all_and_stays_valid_for_them() {
        let announcements = Arc::<Announcements>::default();
        let [one, other] = [0; 2].map(|_| Epochs::announced_by(Arc::clone(&announcements)));
        let (changes, own, all) = (other.changes(), other.of("a"), other.all());
        let news = other.news("a");
        one.bump("a");
        news.await;
        let news = other.news("a");
        one.bump_all();
        news.await;
        assert_eq!((other.changes(), other.of("a"), other.all()), (changes + 2, own, all));
    }
}
