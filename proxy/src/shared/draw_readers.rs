//! The tenants whose clients read what they have drawn from sequences: only behind their writes PostgreSQL is asked.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::pool::turns;

/// Tenants at most whose clients are known to ask. Above it all are forgotten, and known again when they ask again.
const MAX_READERS: usize = 10_000;

/// The tenants of a database whose clients call `lastval()`.
#[derive(Debug, Default)]
pub struct DrawReaders {
    tenants: Mutex<HashSet<turns::Tenant>>,
    /// Counts up with each change: who has looked need not look again.
    changes: AtomicU64,
}

impl DrawReaders {
    /// Clients of this tenant call `lastval()`.
    pub fn add(&self, tenant: &turns::Tenant) {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if tenants.len() >= MAX_READERS && !tenants.contains(tenant) {
            tenants.clear();
        }
        if tenants.insert(tenant.clone()) {
            self.changes.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether clients of this tenant do.
    pub fn has(&self, tenant: &turns::Tenant) -> bool {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner).contains(tenant)
    }

    /// The number of changes so far; 0: no tenant does.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readers_are_bounded() {
        let readers = DrawReaders::default();
        for n in 0..MAX_READERS + 10 {
            let tenant: turns::Tenant = Some(format!("t{n}").into());
            readers.add(&tenant);
            assert!(readers.has(&tenant));
        }
        assert!(readers.tenants.lock().unwrap().len() <= MAX_READERS);
    }
}
