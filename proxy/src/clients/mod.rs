//! The clients of this process: one slot for each connection that is logged in, the console's included.
//!
//! A slot is written by its client's session alone, with relaxed stores and no lock, and read by whoever wants to know
//! what goes on. Where a client leaves, its counts are added to those of its database: a sum over all never falls.
//!
//! # Layout
//! - [`slot`]: what is known of one client.
//! - [`counts`]: what is counted for it.
//! - [`period`]: the same a while ago, for averages.

pub mod counts;
pub mod period;
pub mod slot;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use self::counts::{Counts, Sums};
use self::period::Period;
use self::slot::{ClientSlot, Who};

/// All clients. There are as many slots as connections, which `listen.max_clients` bounds.
pub struct Clients {
    next: AtomicU64,
    /// Times in slots count from here.
    origin: Origin,
    all: Mutex<All>,
    period: Mutex<Period>,
    arriving: AtomicUsize,
}

#[derive(Default)]
struct All {
    slots: BTreeMap<u64, Arc<ClientSlot>>,
    /// What those have left that are gone, by database: one of the configured, or the console.
    gone: HashMap<Box<str>, Sums>,
}

/// The moment that microseconds count from, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    instant: Instant,
    time: SystemTime,
}

impl Origin {
    /// This moment.
    pub fn now() -> Self {
        Self { instant: Instant::now(), time: SystemTime::now() }
    }

    /// That moment, in microseconds; never 0, which stands for none.
    pub fn micros(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.instant).as_micros();
        u64::try_from(since).unwrap_or(u64::MAX).max(1)
    }

    /// What the clock on the wall showed then.
    pub fn time(&self, micros: u64) -> SystemTime {
        self.time + std::time::Duration::from_micros(micros)
    }
}

/// A client's slot, taken by its session: it is free when this is dropped.
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
        }
    }
}

impl Clients {
    /// Somebody has connected, and is not logged in as long as what this gives is there.
    pub fn arrive(self: &Arc<Self>) -> Arriving {
        self.arriving.fetch_add(1, Ordering::Relaxed);
        Arriving(Arc::clone(self))
    }

    /// How many have connected and are not logged in.
    pub fn arriving(&self) -> usize {
        self.arriving.load(Ordering::Relaxed)
    }

    /// A client has logged in.
    pub fn enter(self: &Arc<Self>, who: Who) -> ClientEntry {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let slot = Arc::new(ClientSlot::new(id, who, self.origin));
        self.lock().slots.insert(id, Arc::clone(&slot));
        slot.counts.add(Counts::LOGINS, 1);
        ClientEntry { slot, clients: Arc::clone(self) }
    }

    /// All that are there now, in the order in which they came.
    pub fn all(&self) -> Vec<Arc<ClientSlot>> {
        self.lock().slots.values().cloned().collect()
    }

    /// Has all sessions look again at what others may have changed.
    pub fn wake_all(&self) {
        self.all().iter().for_each(|slot| slot.wake());
    }

    /// The one with that number.
    pub fn get(&self, id: u64) -> Option<Arc<ClientSlot>> {
        self.lock().slots.get(&id).cloned()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lock().slots.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What was counted for all clients of a database since the start, those that have left included.
    pub fn sums(&self, database: &str) -> Sums {
        let all = self.lock();
        let mut sums = all.gone.get(database).copied().unwrap_or_default();
        for slot in all.slots.values().filter(|slot| *slot.who.database == *database) {
            sums.add(&slot.counts.sums());
        }
        sums
    }

    /// The same of each database that has had a client.
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

    /// Begins a new period of averages where the last one is over. For each second or so.
    pub fn tick(&self) {
        let now = Instant::now();
        if self.period().is_over(now) {
            let sums = self.all_sums();
            self.period().begin(now, sums);
        }
    }

    /// What was counted up to the beginning of the last whole period, and how many microseconds ago that was.
    pub fn before(&self, database: &str) -> (Sums, u64) {
        self.period().before(database)
    }

    /// The moment that times in slots count from.
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
    /// What it is entered in.
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
        // Both at once: whoever adds up finds its counts in one place.
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
