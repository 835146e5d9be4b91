//! Counters that tell whether something was invalidated since.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

/// Schemas that share one are invalidated together, which costs a load.
const SLOTS: usize = 4096;

/// One counter for some of the schemas each, and one for all of them. Its size is fixed.
pub(super) struct Epochs {
    all: AtomicU64,
    slots: Box<[AtomicU64]>,
    hasher: RandomState,
}

impl Epochs {
    pub(super) fn new() -> Self {
        let slots = (0..SLOTS).map(|_| AtomicU64::new(0)).collect();
        Self { all: AtomicU64::new(0), slots, hasher: RandomState::new() }
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

    pub(super) fn bump(&self, schema: &str) {
        if let Some(epoch) = self.slot(schema) {
            epoch.fetch_add(1, Ordering::AcqRel);
        }
    }

    pub(super) fn bump_all(&self) {
        self.all.fetch_add(1, Ordering::AcqRel);
    }

    fn slot(&self, schema: &str) -> Option<&AtomicU64> {
        let slot = self.hasher.hash_one(schema) % SLOTS as u64;
        self.slots.get(slot as usize)
    }
}
