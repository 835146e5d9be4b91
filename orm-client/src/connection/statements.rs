//! What is prepared on one connection.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use tokio_postgres::Statement;

/// Statements by their text and the path that it was read under: the tables of two tenants may differ. Those that were not
/// used for long make room for others.
pub(super) struct Statements(Mutex<LruCache<Box<str>, State>>);

enum State {
    /// It was sent once: it may never come again.
    Seen,
    Prepared(Statement),
}

/// What is to be done with a text.
pub(super) enum Known {
    /// It is new.
    No,
    /// It comes again: time to prepare it.
    Again,
    Prepared(Statement),
}

impl Statements {
    pub(super) fn new(most: usize) -> Self {
        let most = NonZeroUsize::new(most).unwrap_or(NonZeroUsize::MIN);
        // Not with room for all of them from the start: a connection that does little needs little.
        let mut cache = LruCache::unbounded();
        cache.resize(most);
        Self(Mutex::new(cache))
    }

    /// What is known of a text, which is remembered.
    pub(super) fn look(&self, key: &str) -> Known {
        let mut cache = self.lock();
        match cache.get(key) {
            Some(State::Prepared(statement)) => Known::Prepared(statement.clone()),
            Some(State::Seen) => Known::Again,
            None => {
                cache.put(key.into(), State::Seen);
                Known::No
            }
        }
    }

    pub(super) fn keep(&self, key: &str, statement: &Statement) {
        self.lock().put(key.into(), State::Prepared(statement.clone()));
    }

    pub(super) fn forget(&self, key: &str) {
        self.lock().pop(key);
    }

    pub(super) fn forget_all(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<Box<str>, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
