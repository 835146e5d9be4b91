//! DDL of tenants that is in progress: what PostgreSQL runs beside it may meet what it has made, before anybody is told.
//!
//! A statement that waits for the lock of DDL runs with what that has committed, for example with a new default. Its plan
//! is of before. So a session that has run statements asks, behind its request, whether there was DDL beside it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::cache::Catalog;

/// How long DDL counts as in progress whose end nobody has seen: PostgreSQL may still commit it. A connection that was
/// closed ends its transaction when PostgreSQL notices.
const UNSEEN: Duration = Duration::from_secs(60);

/// The schemas with DDL in progress. There are no more of them than transactions on servers, and the tenants whose
/// connections broke in the last [`UNSEEN`].
#[derive(Default)]
pub(super) struct Changes {
    /// The number of schemas, to be read without a lock.
    count: AtomicUsize,
    by_schema: Mutex<HashMap<Arc<str>, Open>>,
}

/// What is in progress in one schema.
#[derive(Default)]
struct Open {
    transactions: usize,
    /// Until when it counts as in progress that there was a transaction whose end nobody has seen.
    unseen: Option<Instant>,
}

impl Changes {
    fn begin(&self, schema: &Arc<str>) {
        let mut all = self.lock();
        all.entry(Arc::clone(schema)).or_default().transactions += 1;
        self.count.store(all.len(), Ordering::SeqCst);
    }

    fn end(&self, schema: &Arc<str>, seen: bool) {
        let mut all = self.lock();
        let now = Instant::now();
        if let Some(open) = all.get_mut(schema) {
            open.transactions = open.transactions.saturating_sub(1);
            open.unseen = if seen { open.unseen } else { Some(now + UNSEEN) };
        }
        all.retain(|_, open| open.transactions > 0 || open.unseen.is_some_and(|until| until > now));
        self.count.store(all.len(), Ordering::SeqCst);
    }

    /// Whether DDL of one of these schemas is in progress.
    pub(super) fn are_in_progress<'a>(&self, schemas: impl IntoIterator<Item = &'a str>) -> bool {
        if self.count.load(Ordering::SeqCst) == 0 {
            return false;
        }
        let (all, now) = (self.lock(), Instant::now());
        let is_open = |open: &Open| open.transactions > 0 || open.unseen.is_some_and(|until| until > now);
        schemas.into_iter().any(|schema| all.get(schema).is_some_and(is_open))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Open>> {
        self.by_schema.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A transaction with DDL of a tenant. When it is dropped, what is known of the schema is overtaken.
pub struct Change {
    catalog: Arc<Catalog>,
    schema: Arc<str>,
    end_seen: bool,
}

impl Change {
    /// A transaction is about to run DDL in `schema`.
    pub fn begin(catalog: &Arc<Catalog>, schema: &str) -> Self {
        let schema: Arc<str> = schema.into();
        catalog.changes.begin(&schema);
        Self { catalog: Arc::clone(catalog), schema, end_seen: false }
    }

    /// Whether it is of this schema.
    pub fn is_of(&self, schema: &str) -> bool {
        *self.schema == *schema
    }

    /// PostgreSQL has said that the transaction is over.
    pub fn ended(mut self) {
        self.end_seen = true;
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        // First, so that there is no moment in which the DDL is neither in progress nor known.
        self.catalog.overtake(&self.schema);
        self.catalog.changes.end(&self.schema, self.end_seen);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn change_counts_until_its_end_was_seen_and_a_while_if_not() {
        let changes = Changes::default();
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        assert!(!changes.are_in_progress(["a"]));
        changes.begin(&a);
        changes.begin(&a);
        changes.begin(&b);
        changes.end(&a, true);
        assert!(changes.are_in_progress(["a"]) && changes.are_in_progress(["c", "b"]));
        changes.end(&a, false);
        assert!(changes.are_in_progress(["a"]) && !changes.are_in_progress(["c"]));
        tokio::time::advance(UNSEEN).await;
        assert!(!changes.are_in_progress(["a"]) && changes.are_in_progress(["b"]));
        changes.end(&b, true);
        assert_eq!(changes.count.load(Ordering::SeqCst), 0);
    }
}
