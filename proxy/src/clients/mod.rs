//! The clients of this process: a slot for each logged-in connection, including those of the console.
//!
//! Only the client's session writes to a slot, with relaxed stores and without a lock. When a client disconnects, its
//! counters are added to those of its database, so a sum over all never decreases.
//!
//! # Layout
//! - [`slot`]: the state of one client.
//! - [`counts`]: its counters.
//! - [`journal`]: log lines for logins and disconnections.
//! - [`period`]: earlier values of the counters, for averages.

pub mod counts;
pub mod journal;
pub mod period;
pub mod slot;

pub use crate::pool::origin::Origin;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use self::counts::{Counts, Sums};
use self::journal::Journal;
use self::period::Period;
use self::slot::{ClientSlot, Who};
use tokio::time::Instant;

/// All clients. `listen.max_clients` limits the number of slots.
pub struct Clients {
    next: AtomicU64,
    /// The origin of times in slots.
    origin: Origin,
    all: Mutex<All>,
    period: Mutex<Period>,
    arriving: AtomicUsize,
    /// The log lines for logins and disconnections.
    pub journal: Journal,
}

#[derive(Default)]
struct All {
    slots: BTreeMap<u64, Arc<ClientSlot>>,
    /// The counters of disconnected clients, by database: a configured one, or the console.
    gone: HashMap<Box<str>, Sums>,
}

/// A client's slot, in use by its session; free when this value is dropped.
pub struct ClientEntry {
    slot: Arc<ClientSlot>,
    clients: Arc<Clients>,
}

impl Default for Clients {
    fn default() -> Self {
        let origin = Origin::now();
        Self {
            next: AtomicU64::new(1),
            origin,
            all: Mutex::default(),
            period: Mutex::new(Period::new(origin)),
            arriving: AtomicUsize::new(0),
            journal: Journal::default(),
        }
    }
}

impl Clients {
    /// Counts a connection that is not logged in, until the returned value is dropped.
    pub fn arrive(self: &Arc<Self>) -> Arriving {
        self.arriving.fetch_add(1, Ordering::Relaxed);
        Arriving(Arc::clone(self))
    }

    /// The number of connections that are not logged in.
    pub fn arriving(&self) -> usize {
        self.arriving.load(Ordering::Relaxed)
    }

    /// Adds a client that has logged in.
    pub fn enter(self: &Arc<Self>, who: Who) -> ClientEntry {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let slot = Arc::new(ClientSlot::new(id, who, self.origin));
        self.lock().slots.insert(id, Arc::clone(&slot));
        slot.counts.add(Counts::LOGINS, 1);
        ClientEntry { slot, clients: Arc::clone(self) }
    }

    /// All clients, in the order of their logins.
    pub fn all(&self) -> Vec<Arc<ClientSlot>> {
        self.lock().slots.values().cloned().collect()
    }

    /// Makes all sessions check for changes by others.
    pub fn wake_all(&self) {
        self.all().iter().for_each(|slot| slot.wake());
    }

    /// The client with that number.
    pub fn get(&self, id: u64) -> Option<Arc<ClientSlot>> {
        self.lock().slots.get(&id).cloned()
    }

    /// The number of clients.
    pub fn len(&self) -> usize {
        self.lock().slots.len()
    }

    /// Whether there is no client.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sums of all clients of a database since the start, including disconnected ones.
    pub fn sums(&self, database: &str) -> Sums {
        let all = self.lock();
        let mut sums = all.gone.get(database).copied().unwrap_or_default();
        for slot in all.slots.values().filter(|slot| *slot.who.database == *database) {
            sums.add(&slot.counts.sums());
        }
        sums
    }

    /// The same for each database that has had a client.
    pub fn all_sums(&self) -> HashMap<Box<str>, Sums> {
        let all = self.lock();
        let mut sums = all.gone.clone();
        for slot in all.slots.values() {
            match sums.get_mut(&slot.who.database) {
                Some(sums) => sums.add(&slot.counts.sums()),
                None => _ = sums.insert(slot.who.database.clone(), slot.counts.sums()),
            }
        }
        sums
    }

    /// Begins a new period of averages if the last one is over. Called about once a second.
    pub fn tick(&self) {
        let now = Instant::now();
        if self.period().is_over(now) {
            let sums = self.all_sums();
            self.period().begin(now, sums);
        }
    }

    /// The sums at the beginning of the last complete period, and its age in microseconds.
    pub fn before(&self, database: &str) -> (Sums, u64) {
        self.period().before(database)
    }

    /// The origin of times in slots.
    pub fn origin(&self) -> Origin {
        self.origin
    }

    fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn period(&self) -> MutexGuard<'_, Period> {
        self.period.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is not logged in yet.
pub struct Arriving(Arc<Clients>);

impl Drop for Arriving {
    fn drop(&mut self) {
        self.0.arriving.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ClientEntry {
    /// The client has got the answer to its login.
    pub fn log_connection(&self) {
        self.clients.journal.connected(&self.slot);
    }

    /// The client's slot.
    pub fn slot(&self) -> &Arc<ClientSlot> {
        &self.slot
    }
}

impl std::ops::Deref for ClientEntry {
    type Target = ClientSlot;

    fn deref(&self) -> &ClientSlot {
        &self.slot
    }
}

impl Drop for ClientEntry {
    fn drop(&mut self) {
        self.clients.journal.disconnected(&self.slot);
        // Under one lock, so that a sum contains its counters exactly once.
        let mut all = self.clients.lock();
        all.slots.remove(&self.slot.id);
        let sums = self.slot.counts.sums();
        match all.gone.get_mut(&self.slot.who.database) {
            Some(gone) => gone.add(&sums),
            None => _ = all.gone.insert(self.slot.who.database.clone(), sums),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sum_over_all_clients_stays_when_one_leaves() {
        let clients = Arc::new(Clients::default());
        let (one, other) = (clients.enter(Who::of_test("app")), clients.enter(Who::of_test("app")));
        let elsewhere = clients.enter(Who::of_test("log"));
        one.counts.add(Counts::QUERIES, 2);
        other.counts.add(Counts::QUERIES, 3);
        elsewhere.counts.add(Counts::QUERIES, 10);
        let queries = |clients: &Clients| clients.sums("app").of(Counts::QUERIES);
        assert_eq!((queries(&clients), clients.len()), (5, 3));
        drop(one);
        assert_eq!((queries(&clients), clients.len()), (5, 2));
        drop((other, elsewhere));
        assert_eq!(clients.all_sums().get("log").unwrap().of(Counts::QUERIES), 10);
        assert_eq!((queries(&clients), clients.sums("app").of(Counts::LOGINS)), (5, 2));
        assert!(clients.is_empty());
    }

    #[test]
    fn numbers_are_never_given_twice() {
        let clients = Arc::new(Clients::default());
        let first = clients.enter(Who::of_test("app")).id;
        let second = clients.enter(Who::of_test("app"));
        assert!(second.id > first && clients.get(first).is_none() && clients.get(second.id).is_some());
    }
}
