//! DDL of tenants that is in progress: what PostgreSQL runs beside it may meet what it has made, before anybody is told.
//!
//! A statement that waits for the lock of DDL runs with what that has committed, for example with a new default. Its plan
//! is of before. So a session that has run statements asks, behind its request, whether there was DDL beside it.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::cache::Catalog;
use super::listen::LONGEST_NAME;
use crate::chance;

/// How long DDL counts as in progress whose end nobody has seen: PostgreSQL may still commit it. A connection that was
/// closed ends its transaction when PostgreSQL notices.
const UNSEEN: Duration = Duration::from_secs(60);

/// The same for DDL of another proxy, which tells of its end unless it dies.
const OTHERS: Duration = Duration::from_secs(600);

/// Schemas with DDL in progress that are told apart. Anybody may send notifications, about schemas that do not exist.
const MAX_SCHEMAS: usize = 10_000;

/// What is to be told to other proxies at most. With more, the rest is not told.
const MAX_UNTOLD: usize = 1_024;

/// The schemas with DDL in progress, and what other proxies have not been told of it.
pub(super) struct Changes {
    /// What this proxy calls itself.
    sender: u64,
    /// Whether there are any, to be read without a lock.
    any: AtomicBool,
    open: Mutex<AllOpen>,
    untold: Mutex<Vec<String>>,
    bell: Notify,
}

#[derive(Default)]
struct AllOpen {
    by_schema: HashMap<Arc<str>, Open>,
    /// Until when all schemas count: there were too many to tell them apart.
    all: Option<Instant>,
    /// When those were left out last that are over.
    swept: Option<Instant>,
    /// The number of the last that other proxies are told.
    told: u64,
}

/// What is in progress in one schema.
#[derive(Default)]
struct Open {
    transactions: usize,
    /// Until when it counts as in progress that there was a transaction whose end nobody has seen.
    unseen: Option<Instant>,
    /// Transactions of other proxies, and until when they count.
    others: usize,
    others_until: Option<Instant>,
}

impl Open {
    fn is_open(&self, now: Instant) -> bool {
        self.is_open_beside(0, now)
    }

    /// Whether there are more transactions than these `own` ones.
    fn is_open_beside(&self, own: usize, now: Instant) -> bool {
        let lasts = |until: Option<Instant>| until.is_some_and(|until| until > now);
        self.transactions > own || lasts(self.unseen) || self.others > 0 && lasts(self.others_until)
    }
}

/// What one proxy tells others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// DDL is about to run in a schema.
    Begins,
    /// It is over.
    Ended,
}

impl Default for Changes {
    fn default() -> Self {
        Self {
            sender: chance::number(),
            any: AtomicBool::new(false),
            open: Mutex::default(),
            untold: Mutex::default(),
            bell: Notify::new(),
        }
    }
}

impl Changes {
    fn begin(&self, schema: &Arc<str>, now: Instant) {
        self.change(schema, now, |all, _| {
            all.by_schema.entry(Arc::clone(schema)).or_default().transactions += 1;
            self.tell(all, News::Begins, schema);
        });
    }

    fn end(&self, schema: &Arc<str>, seen: bool, now: Instant) {
        self.change(schema, now, |all, now| {
            if let Some(open) = all.by_schema.get_mut(schema) {
                open.transactions = open.transactions.saturating_sub(1);
                open.unseen = if seen { open.unseen } else { Some(now + UNSEEN) };
            }
            self.tell(all, News::Ended, schema);
        });
    }

    /// Another proxy runs DDL in this schema, or has done so.
    pub(super) fn hear(&self, news: News, schema: &str, now: Instant) {
        self.change(schema, now, |all, now| {
            let room = all.by_schema.len() < MAX_SCHEMAS;
            match (news, all.by_schema.get_mut(schema)) {
                (News::Begins, Some(open)) => {
                    (open.others, open.others_until) = (open.others + 1, Some(now + OTHERS));
                }
                (News::Begins, None) if room => {
                    let open = Open { others: 1, others_until: Some(now + OTHERS), ..Open::default() };
                    all.by_schema.insert(schema.into(), open);
                }
                (News::Begins, None) => all.all = Some(now + OTHERS),
                (News::Ended, Some(open)) => open.others = open.others.saturating_sub(1),
                (News::Ended, None) => {}
            }
        });
    }

    /// Whether DDL of one of these schemas is in progress, besides that of the `own` transactions.
    pub(super) fn are_in_progress<'a>(
        &self,
        schemas: impl IntoIterator<Item = &'a str>,
        own: &[Change],
        now: impl FnOnce() -> Instant,
    ) -> bool {
        if !self.any.load(Ordering::SeqCst) {
            return false;
        }
        let (all, now) = (lock(&self.open), now());
        let is_open = |schema: &str| {
            let own = own.iter().filter(|change| change.is_of(schema)).count();
            all.by_schema.get(schema).is_some_and(|open| open.is_open_beside(own, now))
        };
        all.all.is_some_and(|until| until > now) || schemas.into_iter().any(is_open)
    }

    fn change(&self, schema: &str, now: Instant, change: impl FnOnce(&mut AllOpen, Instant)) {
        let mut all = lock(&self.open);
        change(&mut all, now);
        if all.by_schema.get(schema).is_some_and(|open| !open.is_open(now)) {
            all.by_schema.remove(schema);
        }
        // Those of which nobody has said the end.
        if all.swept.is_none_or(|swept| swept + UNSEEN <= now) {
            all.by_schema.retain(|_, open| open.is_open(now));
            (all.all, all.swept) = (all.all.filter(|until| *until > now), Some(now));
        }
        self.any.store(!all.by_schema.is_empty() || all.all.is_some(), Ordering::SeqCst);
    }

    fn tell(&self, all: &mut AllOpen, news: News, schema: &str) {
        let mut untold = lock(&self.untold);
        if untold.len() < MAX_UNTOLD {
            // PostgreSQL leaves out what a transaction has notified before: each has a number.
            all.told += 1;
            untold.push(payload(news, self.sender, all.told, schema));
            self.bell.notify_one();
        }
    }

    /// The notifications for other proxies; waits until there are some.
    pub(super) async fn untold(&self) -> Vec<String> {
        loop {
            let untold = std::mem::take(&mut *lock(&self.untold));
            if !untold.is_empty() {
                return untold;
            }
            self.bell.notified().await;
        }
    }

    /// What a notification of another proxy says, and of which schema. `None`: it is this proxy's own, or none.
    pub(super) fn read(&self, payload: &str) -> Option<(News, String)> {
        let mut words = payload.split(' ');
        let news = match words.next()? {
            "begins" => News::Begins,
            "ended" => News::Ended,
            _ => return None,
        };
        let sender = u64::from_str_radix(words.next()?, 16).ok()?;
        let schema = words.nth(1)?;
        let bytes =
            (0..schema.len()).step_by(2).map(|at| u8::from_str_radix(schema.get(at..at + 2)?, 16).ok());
        let schema = String::from_utf8(bytes.collect::<Option<_>>()?).ok()?;
        let is_name = (1..=LONGEST_NAME).contains(&schema.len());
        (sender != self.sender && words.next().is_none() && is_name).then_some((news, schema))
    }
}

/// In ASCII, and without a quote: it goes into a `NOTIFY`.
fn payload(news: News, sender: u64, number: u64, schema: &str) -> String {
    let news = match news {
        News::Begins => "begins",
        News::Ended => "ended",
    };
    let mut payload = format!("{news} {sender:x} {number} ");
    for byte in schema.bytes() {
        // A String takes all.
        let _ = write!(payload, "{byte:02x}");
    }
    payload
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        catalog.changes.begin(&schema, Instant::now());
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
        self.catalog.changes.end(&self.schema, self.end_seen, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn change_counts_until_its_end_was_seen_and_a_while_if_not() {
        let (changes, now) = (Changes::default(), Instant::now());
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        let open =
            |schemas: &[&'static str], at| changes.are_in_progress(schemas.iter().copied(), &[], || at);
        assert!(!open(&["a"], now));
        changes.begin(&a, now);
        changes.begin(&a, now);
        changes.begin(&b, now);
        changes.end(&a, true, now);
        assert!(open(&["a"], now) && open(&["c", "b"], now));
        changes.end(&a, false, now);
        assert!(open(&["a"], now) && !open(&["c"], now));
        let later = now + UNSEEN;
        assert!(!open(&["a"], later) && open(&["b"], later));
        changes.end(&b, true, later);
        assert!(!changes.any.load(Ordering::SeqCst));
    }

    #[tokio::test]
    async fn other_proxies_are_told_and_heard() {
        let (here, there, now) = (Changes::default(), Changes::default(), Instant::now());
        let name: Arc<str> = "Umläut's".into();
        here.begin(&name, now);
        here.end(&name, true, now);
        here.begin(&name, now);
        let told = here.untold().await;
        assert!(told.iter().all(|payload| payload.is_ascii() && !payload.contains('\'')));
        let heard: Vec<_> = told.iter().filter_map(|payload| there.read(payload)).collect();
        let news: Vec<_> = heard.iter().map(|(news, _)| *news).collect();
        assert_eq!(news, [News::Begins, News::Ended, News::Begins]);
        assert!(heard.iter().all(|(_, schema)| **schema == *name));
        assert!(told.iter().all(|payload| here.read(payload).is_none()), "its own");
        heard.iter().for_each(|(news, schema)| there.hear(*news, schema, now));
        let open = |schema: &str, at| there.are_in_progress([schema], &[], || at);
        assert!(open(&name, now) && !open("a", now));
        there.hear(News::Ended, &name, now);
        assert!(!open(&name, now));
        there.hear(News::Begins, "a", now);
        assert!(open("a", now) && !open("a", now + OTHERS), "that proxy is gone");
        for other in [
            "", "begins", "begins 1", "begins 1 2", "begins 1 2 ", "begins 1 2 6", "begins 1 2 zz",
            "else 1 2 61", "begins 1 2 61 3", "begins 1 2 ä",
        ] {
            assert_eq!(there.read(other), None, "{other}");
        }
    }

    #[tokio::test]
    async fn floods_are_bounded() {
        let (changes, now) = (Changes::default(), Instant::now());
        (0..=MAX_SCHEMAS).for_each(|number| changes.hear(News::Begins, &number.to_string(), now));
        assert!(changes.are_in_progress(["never heard of"], &[], || now));
        assert_eq!(lock(&changes.open).by_schema.len(), MAX_SCHEMAS);
        let name: Arc<str> = "a".into();
        (0..2 * MAX_UNTOLD).for_each(|_| changes.begin(&name, now));
        assert_eq!(changes.untold().await.len(), MAX_UNTOLD);
    }
}
