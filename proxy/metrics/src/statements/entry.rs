//! What is counted of one tenant's statements of one form.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use pgstrata_sql::form::FormId;

use super::memory::Memory;
use crate::histogram::{Durations, nanoseconds};

/// What an entry takes: as long as somebody holds it, whether it was pushed out or not.
pub(super) const WEIGHT: u64 = size_of::<Entry>() as u64 + 32;

/// One call of a statement.
#[derive(Clone, Copy, Debug, Default)]
pub struct Call {
    /// PostgreSQL's time for it.
    pub time: Duration,
    /// How long it waited for a server.
    pub wait: Duration,
    /// Rows that it gave or changed.
    pub rows: u64,
    /// Bytes that PostgreSQL sent.
    pub received: u64,
    /// Bytes that PostgreSQL was sent.
    pub sent: u64,
    /// PostgreSQL answered with an error.
    pub failed: bool,
    /// When, in microseconds since the origin of the process's clients.
    pub at: u64,
}

impl Call {
    /// Adds what ran before it of the same call.
    pub fn add(&mut self, before: &Self) {
        self.time = self.time.saturating_add(before.time);
        self.wait = self.wait.saturating_add(before.wait);
        self.rows = self.rows.saturating_add(before.rows);
        self.received = self.received.saturating_add(before.received);
        self.sent = self.sent.saturating_add(before.sent);
        self.failed |= before.failed;
        self.at = self.at.max(before.at);
    }
}

/// The counts of one form.
#[derive(Debug)]
pub struct Entry {
    memory: Arc<Memory>,
    form: FormId,
    book: u64,
    /// It was not pushed out.
    counts: AtomicBool,
    errors: AtomicU64,
    times: Durations,
    longest: AtomicU64,
    wait: AtomicU64,
    rows: AtomicU64,
    received: AtomicU64,
    sent: AtomicU64,
    last: AtomicU64,
}

/// What was counted. Times are in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Calls that PostgreSQL has answered, those with an error among them.
    pub calls: u64,
    /// Errors.
    pub errors: u64,
    /// PostgreSQL's time for all calls.
    pub time: u64,
    /// The longest.
    pub longest: u64,
    /// 99 of 100 calls took no longer.
    pub p99: u64,
    /// The time of all waits for a server.
    pub wait: u64,
    /// Rows.
    pub rows: u64,
    /// Bytes that PostgreSQL sent.
    pub received: u64,
    /// Bytes that PostgreSQL was sent.
    pub sent: u64,
    /// The last call, in microseconds since the origin of the process's clients; 0: none.
    pub last: u64,
}

impl Entry {
    /// With no counts; [`WEIGHT`] bytes were taken of `memory`.
    pub(super) fn new(memory: Arc<Memory>, form: FormId, book: u64) -> Self {
        Self {
            memory,
            form,
            book,
            counts: AtomicBool::new(true),
            errors: AtomicU64::new(0),
            times: Durations::default(),
            longest: AtomicU64::new(0),
            wait: AtomicU64::new(0),
            rows: AtomicU64::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            last: AtomicU64::new(0),
        }
    }

    /// Its form.
    pub fn form(&self) -> FormId {
        self.form
    }

    /// Counts a call. What is 0 mostly costs nothing.
    pub fn record(&self, call: &Call) {
        self.times.record(call.time);
        let time = nanoseconds(call.time);
        if time > read(&self.longest) {
            self.longest.fetch_max(time, Ordering::Relaxed);
        }
        add(&self.errors, u64::from(call.failed));
        add(&self.wait, nanoseconds(call.wait));
        add(&self.rows, call.rows);
        add(&self.received, call.received);
        add(&self.sent, call.sent);
        self.last.store(call.at, Ordering::Relaxed);
    }

    /// Counts an error of a statement that was not run.
    pub fn fail(&self, at: u64) {
        add(&self.errors, 1);
        self.last.store(at, Ordering::Relaxed);
    }

    /// Whether it is this form's in this book, and still counts.
    #[inline]
    pub(super) fn is_of(&self, book: u64, form: FormId) -> bool {
        self.form == form && self.book == book && self.still_counts()
    }

    /// Whether it was not pushed out.
    #[inline]
    pub(super) fn still_counts(&self) -> bool {
        self.counts.load(Ordering::Relaxed)
    }

    /// It is pushed out. A call that is counted at this moment may be lost.
    pub(super) fn end(&self) {
        self.counts.store(false, Ordering::Relaxed);
    }

    /// PostgreSQL's time so far, in nanoseconds.
    pub(super) fn time(&self) -> u64 {
        self.times.sum()
    }

    /// Whether something was counted: it is there from the moment on when its statement is bound.
    pub(super) fn is_used(&self) -> bool {
        self.times.count() + read(&self.errors) > 0
    }

    /// All that was counted.
    pub(super) fn sums(&self) -> Sums {
        Sums {
            calls: self.times.count(),
            errors: read(&self.errors),
            time: self.times.sum(),
            longest: read(&self.longest),
            p99: self.times.quantile(99, 100).min(read(&self.longest)),
            wait: read(&self.wait),
            rows: read(&self.rows),
            received: read(&self.received),
            sent: read(&self.sent),
            last: read(&self.last),
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.memory.give(WEIGHT);
    }
}

impl Sums {
    /// With those of another. The quantile of both is not known: the longer one stands for it.
    pub(super) fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.errors += other.errors;
        self.time = self.time.saturating_add(other.time);
        self.longest = self.longest.max(other.longest);
        self.p99 = self.p99.max(other.p99);
        self.wait = self.wait.saturating_add(other.wait);
        self.rows = self.rows.saturating_add(other.rows);
        self.received = self.received.saturating_add(other.received);
        self.sent = self.sent.saturating_add(other.sent);
        self.last = self.last.max(other.last);
    }
}

fn add(counter: &AtomicU64, count: u64) {
    if count > 0 {
        counter.fetch_add(count, Ordering::Relaxed);
    }
}

fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
