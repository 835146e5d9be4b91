//! What was counted by tenant and by the normalized form of statements, in a bounded number of bytes.
//!
//! # Layout
//! - [`Statements`]: all of it; [`Book`]: one tenant's. [`entry`]: what is counted of one form.
//! - [`memory`]: the limit. [`level`]: which tenants have more than their share.
//! - [`recent`]: the entries that a thread used last. [`refusals`]: what the guard has refused.
//!
//! # Cost
//! A thread finds the [`Entry`] of a statement among those that it used last, with no lock; else in its tenant's book, whose
//! lock is shared. Counting is some additions, which threads share with those only that run the same statement of the same
//! tenant. A new form takes the book's lock alone for its own insertion.
//!
//! # Bounds
//! When the forms take nearly all that they may, tenants with more than a fair share lose their lightest ones, until an
//! eighth is free. A share is fair that no tenant with less has to give anything for: one tenant's forms, however many,
//! push out nobody else's. An [`Entry`] that was pushed out counts as long as a thread or a statement that runs holds it.

pub mod entry;
mod level;
mod memory;
mod recent;
pub mod refusals;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Instant;

use foldhash::HashMap;
use pgstrata_sql::form::FormId;

pub use self::entry::{Call, Entry, Sums};

use self::memory::Memory;
use self::refusals::{Refusal, Refusals, Refused};
use super::text::{Page, Type};

/// What one form takes beside its text and its entry: its places in tables.
const FORM_WEIGHT: u64 = 96;
/// What a tenant takes beside its names and its forms.
const BOOK_WEIGHT: u64 = size_of::<Book>() as u64 + 256;

/// For so many milliseconds nobody looks for room where there was none.
const PAUSE: u64 = 1000;

/// Database and tenant.
type Name = (Box<str>, Box<str>);

/// The statistics of all tenants.
#[derive(Debug)]
pub struct Statements {
    memory: Arc<Memory>,
    /// How many forms were pushed out.
    evicted: AtomicU64,
    /// Until then no room is looked for, as there was none: in milliseconds since `began`.
    full_until: AtomicU64,
    began: Instant,
    books: Mutex<BTreeMap<Name, Arc<Book>>>,
    refusals: Refusals,
}

/// The statistics of one tenant's statements.
#[derive(Debug)]
pub struct Book {
    /// Among the books of this process.
    id: u64,
    /// Of the forms in it.
    bytes: AtomicU64,
    forms: RwLock<Forms>,
}

#[derive(Debug, Default)]
struct Forms {
    known: HashMap<FormId, Form>,
    /// What was counted of those that are not known any more.
    evicted: Sums,
}

#[derive(Debug)]
struct Form {
    entry: Arc<Entry>,
    text: Box<str>,
    /// PostgreSQL's time when others were last pushed out, and how much it weighed then.
    time: u64,
    weight: u64,
}

/// One row of statistics.
#[derive(Clone, Debug)]
pub struct Row {
    /// The database's name.
    pub database: Box<str>,
    /// The tenant's.
    pub tenant: Box<str>,
    /// [`FormId::NONE`]: all of the tenant's that were pushed out, together.
    pub form: FormId,
    /// The normalized form; empty for those that were pushed out.
    pub text: Box<str>,
    /// What was counted.
    pub sums: Sums,
}

impl Statements {
    /// None yet, in `limit` bytes at most. 0: nothing is counted.
    pub fn new(limit: u64) -> Self {
        let memory = Arc::new(Memory::new(limit));
        Self {
            refusals: Refusals::new(Arc::clone(&memory)),
            memory,
            evicted: AtomicU64::new(0),
            full_until: AtomicU64::new(0),
            began: Instant::now(),
            books: Mutex::default(),
        }
    }

    /// Another limit, in bytes, from now on.
    pub fn set_limit(&self, limit: u64) {
        self.memory.set_limit(limit);
        self.full_until.store(0, Ordering::Relaxed);
        match limit {
            0 => {
                self.reset(None);
                self.refusals.clear();
            }
            _ => self.make_room(0),
        }
    }

    /// Whether anything is counted.
    #[inline]
    pub fn is_on(&self) -> bool {
        self.memory.limit() > 0
    }

    /// The book of a tenant. For each tenant that is looked up, not for each statement.
    pub fn book(&self, database: &str, tenant: &str) -> Arc<Book> {
        /// Threads keep entries by this number, whatever proxy they are of.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let made = || {
            let weight = BOOK_WEIGHT + (database.len() + tenant.len()) as u64;
            self.memory.take_anyway(weight);
            let id = NEXT.fetch_add(1, Ordering::Relaxed);
            Arc::new(Book { id, bytes: AtomicU64::new(0), forms: RwLock::default() })
        };
        Arc::clone(books.entry((database.into(), tenant.into())).or_insert_with(made))
    }

    /// What is counted of a form in a book. `text` gives the form's text, where it is new. `None`: there is no room.
    pub fn entry(&self, book: &Book, form: FormId, text: impl FnOnce() -> String) -> Option<Arc<Entry>> {
        if let Some(known) = recent::get(book.id, form) {
            return Some(known);
        }
        let known = book.read(|forms| forms.known.get(&form).map(|known| Arc::clone(&known.entry)));
        let entry = known.or_else(|| self.new_entry(book, form, text))?;
        recent::put(book.id, form, &entry);
        Some(entry)
    }

    fn new_entry(&self, book: &Book, form: FormId, text: impl FnOnce() -> String) -> Option<Arc<Entry>> {
        if self.is_full() {
            return None;
        }
        let text = text().into_boxed_str();
        let weight = FORM_WEIGHT + text.len() as u64;
        if self.memory.is_short_of(weight + entry::WEIGHT) {
            self.make_room(weight + entry::WEIGHT);
        }
        if !self.memory.take(weight + entry::WEIGHT) {
            return None;
        }
        let new = Entry::new(Arc::clone(&self.memory), form, book.id);
        let (entry, is_new) = book.insert(new, text, weight);
        if !is_new {
            self.memory.give(weight);
        }
        Some(entry)
    }

    /// The guard refuses a statement of a tenant. Its text is looked at only where it is new.
    pub fn refused(&self, refused: &Refused<'_>) {
        if !self.is_on() || self.refusals.count_again(refused) {
            return;
        }
        let seen = refused.seen();
        if self.memory.is_short_of(seen.bytes()) {
            self.make_room(seen.bytes());
        }
        self.refusals.insert(refused, seen);
    }

    /// What the guard has refused lately, by database and tenant.
    pub fn refusals(&self) -> Vec<(Name, Refusal)> {
        self.refusals.all()
    }

    /// Pushes out the lightest forms of those tenants that have more than their share, until an eighth is free, and
    /// forgets tenants that have none; if so many bytes more are not free. One at a time: who finds another at it does
    /// not wait.
    fn make_room(&self, wanted: u64) {
        let Ok(mut books) = self.books.try_lock() else { return };
        if !self.memory.is_short_of(wanted) {
            return;
        }
        let limit = self.memory.limit();
        // First those that have nothing: nobody misses them.
        books.retain(|name, book| !self.forget(name, book));
        let sizes: Vec<u64> = books.values().map(|book| book.bytes()).collect();
        let forms: u64 = sizes.iter().sum();
        let others = self.memory.used().saturating_sub(forms);
        let share = level::share(&sizes, (limit - limit / 8).saturating_sub(others));
        for book in books.values().filter(|book| book.bytes() > share) {
            self.evicted.fetch_add(book.push_out(share, &self.memory), Ordering::Relaxed);
        }
        recent::forget_pushed_out();
        // Tenants with clients may take all of it by themselves: then each new form would come here.
        if self.memory.is_short_of(wanted) {
            self.full_until.store(self.milliseconds().saturating_add(PAUSE), Ordering::Relaxed);
        }
    }

    fn milliseconds(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn is_full(&self) -> bool {
        match self.full_until.load(Ordering::Relaxed) {
            0 => false,
            until => self.milliseconds() < until,
        }
    }

    /// Whether a tenant has no forms and no sessions; it is not counted any more then.
    fn forget(&self, (database, tenant): &Name, book: &Arc<Book>) -> bool {
        let idle = Arc::strong_count(book) == 1 && book.read(|forms| forms.known.is_empty());
        if idle {
            let weight = BOOK_WEIGHT + (database.len() + tenant.len()) as u64;
            self.memory.give(weight);
        }
        idle
    }

    /// Forgets what was counted of a tenant, in each database, or of all.
    pub fn reset(&self, tenant: Option<&str>) {
        let books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = books.iter().filter(|((_, name), _)| tenant.is_none_or(|tenant| **name == *tenant));
        wanted.for_each(|(_, book)| book.clear(&self.memory));
        recent::forget_pushed_out();
    }

    /// At most `most` rows, of one tenant or of all, those with most of PostgreSQL's time first.
    pub fn rows(&self, tenant: Option<&str>, most: usize) -> Vec<Row> {
        let books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted = books.iter().filter(|((_, name), _)| tenant.is_none_or(|tenant| **name == *tenant));
        let mut all: Vec<(u64, &Name, &Book, FormId)> = Vec::new();
        for (name, book) in wanted {
            book.read(|forms| {
                let known = forms.known.iter().filter(|(_, known)| known.entry.is_used());
                all.extend(known.map(|(form, known)| (known.entry.time(), name, &**book, *form)));
                if forms.evicted.calls + forms.evicted.errors > 0 {
                    all.push((forms.evicted.time, name, &**book, FormId::NONE));
                }
            });
        }
        let order = |one: &(u64, &Name, &Book, FormId), other: &(u64, &Name, &Book, FormId)| {
            other.0.cmp(&one.0).then_with(|| (one.1, one.3).cmp(&(other.1, other.3)))
        };
        if most < all.len() {
            all.select_nth_unstable_by(most, order);
            all.truncate(most);
        }
        all.sort_unstable_by(order);
        all.into_iter().filter_map(|(_, name, book, form)| book.row(name, form)).collect()
    }

    /// The text of a form of a tenant's, if it is known.
    pub fn text(&self, database: &str, tenant: &str, form: FormId) -> Option<Box<str>> {
        let books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let book = books.get(&(database.into(), tenant.into()))?;
        book.read(|forms| forms.known.get(&form).map(|known| known.text.clone()))
    }

    /// For a scrape.
    pub(crate) fn render(&self, page: &mut Page) {
        let forms: usize = {
            let books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
            books.values().map(|book| book.read(|forms| forms.known.len())).sum()
        };
        page.family("pgstrata_statements", Type::Gauge, "Normalized statements that statistics are kept of.");
        page.sample("pgstrata_statements", &[], forms);
        page.family(
            "pgstrata_statements_bytes",
            Type::Gauge,
            "Memory used by statement statistics, in bytes.",
        );
        page.sample("pgstrata_statements_bytes", &[], self.memory.used());
        let name = "pgstrata_statements_evicted_total";
        page.family(name, Type::Counter, "Normalized statements whose statistics gave way to others.");
        page.sample(name, &[], self.evicted.load(Ordering::Relaxed));
    }
}

impl Book {
    fn read<T>(&self, read: impl FnOnce(&Forms) -> T) -> T {
        read(&self.forms.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<T>(&self, change: impl FnOnce(&mut Forms) -> T) -> T {
        change(&mut self.forms.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Takes an entry in, if its form is new; gives the form's, and whether that was new. `weight`: without the entry's.
    fn insert(&self, new: Entry, text: Box<str>, weight: u64) -> (Arc<Entry>, bool) {
        self.change(|forms| {
            let form = new.form();
            if let Some(known) = forms.known.get(&form) {
                return (Arc::clone(&known.entry), false);
            }
            self.bytes.fetch_add(weight + entry::WEIGHT, Ordering::Relaxed);
            let entry = Arc::new(new);
            forms.known.insert(form, Form { entry: Arc::clone(&entry), text, time: 0, weight: 0 });
            (entry, true)
        })
    }

    /// Pushes out the lightest until at most `share` bytes are left; gives how many.
    fn push_out(&self, share: u64, memory: &Memory) -> u64 {
        self.change(|forms| {
            let mut all: Vec<(u64, FormId)> =
                forms.known.iter_mut().map(|(form, known)| (known.weigh(), *form)).collect();
            all.sort_unstable();
            let mut count = 0;
            for (_, form) in all {
                if self.bytes() <= share {
                    break;
                }
                let Some(gone) = forms.known.remove(&form) else { continue };
                forms.evicted.add(&gone.entry.sums());
                self.part_with(&gone, memory);
                count += 1;
            }
            forms.known.shrink_to(forms.known.len() * 2);
            count
        })
    }

    /// Forgets all.
    fn clear(&self, memory: &Memory) {
        self.change(|forms| {
            let gone = std::mem::take(forms);
            gone.known.values().for_each(|known| self.part_with(known, memory));
        });
    }

    /// A form is not counted any more. Its entry gives its bytes back itself, when nobody holds it.
    fn part_with(&self, gone: &Form, memory: &Memory) {
        gone.entry.end();
        self.bytes.fetch_sub(gone.bytes(), Ordering::Relaxed);
        memory.give(gone.bytes() - entry::WEIGHT);
    }

    fn row(&self, (database, tenant): &Name, form: FormId) -> Option<Row> {
        self.read(|forms| {
            let (text, sums) = match form {
                FormId::NONE => (Box::default(), forms.evicted),
                form => forms.known.get(&form).map(|known| (known.text.clone(), known.entry.sums()))?,
            };
            Some(Row { database: database.clone(), tenant: tenant.clone(), form, text, sums })
        })
    }
}

impl Form {
    fn bytes(&self) -> u64 {
        FORM_WEIGHT + entry::WEIGHT + self.text.len() as u64
    }

    /// How much of PostgreSQL's time it takes: what came since the last time, and half of what it weighed then, so that
    /// what was heavy once gives way in the end.
    fn weigh(&mut self) -> u64 {
        let time = self.entry.time();
        self.weight = (self.weight / 2).saturating_add(time.saturating_sub(self.time));
        self.time = time;
        self.weight
    }
}
