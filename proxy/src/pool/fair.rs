//! A pool of few things for many who want one: fair between tenants, and with an eye on threads.
//!
//! A thing belongs to the thread on which it was made, and works best there (a socket's events come to that
//! thread). So whoever asks gets one of its own thread if there is one, and a thing that comes back goes to one who waits there, as long as
//! [`Turns`] finds that fair.
//!
//! Sized by places: a thing has one, and so has one that is being made. What is not given back with a word is
//! dropped, so that a user who breaks off leaves nothing behind.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::turns::{Tenant, Turns};

/// What a pool holds.
pub trait Item: Sized {
    /// Whether it may be used again.
    fn is_sound(&self) -> bool;

    /// Comes over to the thread that calls. `None` where it broke on the way.
    fn moved(self) -> Option<Self>;
}

/// After so many uses in a row by threads that it does not belong to, it moves.
const AWAY: u8 = 4;

/// The pool. Cheap to clone.
pub struct Pool<T: Item>(Arc<Mutex<State<T>>>);

struct State<T: Item> {
    /// The one used last is the last: it is the warmest, and the others can grow old and go.
    idle: Vec<Idle<T>>,
    /// Places that are taken.
    taken: usize,
    places: usize,
    /// So many of them are of use: fewer where no more items could be made.
    useful: usize,
    /// Somebody will say when another is worth a try.
    held: bool,
    turns: Turns<oneshot::Sender<Grant<T>>>,
    closed: bool,
}

struct Idle<T> {
    item: T,
    home: Home,
    since: Instant,
}

/// The thread that an item belongs to.
#[derive(Clone, Copy)]
struct Home {
    thread: usize,
    /// How often others have used it since it was used there.
    away: u8,
}

/// What somebody gets who asks.
pub enum Grant<T: Item> {
    /// One that was idle, or has just come back.
    Item(Loan<T>),
    /// The right to make one.
    Place(Place<T>),
}

/// What becomes of somebody who asks.
enum Asked<T: Item> {
    Granted(Grant<T>),
    /// With a ticket; and that is where the grant will come.
    Queued(u64, oneshot::Receiver<Grant<T>>),
}

/// An item on loan. Dropped, it is gone, and its place is free; see [`Loan::give_back`].
pub struct Loan<T: Item> {
    // There until the loan ends.
    item: Option<T>,
    home: Home,
    since: Instant,
    /// Whoever waited for it has it: until then it is as good as idle.
    taken: bool,
    pool: Pool<T>,
}

/// A place that is taken, and given back when this is dropped.
pub struct Place<T: Item>(Option<Pool<T>>);

/// Why nothing is lent.
#[derive(Debug, PartialEq, Eq)]
pub enum Unlent {
    /// The pool is closed.
    Closed,
    /// All who waited were called off.
    CalledOff,
}

/// How a pool fares.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Places that are taken.
    pub size: usize,
    /// Items that nobody uses.
    pub idle: usize,
    /// Those who wait.
    pub waiting: usize,
}

/// A number for the thread that calls.
fn here() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static HERE: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    HERE.with(|here| *here)
}

impl<T: Item> Pool<T> {
    /// Room for so many; nothing is in it.
    pub fn new(places: usize) -> Self {
        let (idle, turns) = (Vec::new(), Turns::default());
        let state = State { idle, taken: 0, places, useful: places, held: false, turns, closed: false };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An idle item that `fits` at once, given how long it is idle `now`; nothing is waited for.
    pub fn take(&self, now: Instant, fits: impl Fn(&T, Duration) -> bool) -> Option<Loan<T>> {
        let here = here();
        let mut state = self.state();
        let at = state.nearest(here)?;
        if !state.idle.get(at).is_some_and(|idle| fits(&idle.item, now.saturating_duration_since(idle.since)))
        {
            return None;
        }
        let idle = state.idle.remove(at);
        drop(state);
        self.lend(idle, here)
    }

    /// An item, or a place to make one, as soon as it is the turn of one who asks for `tenant`. Whoever
    /// stops waiting leaves the queue.
    pub async fn acquire(&self, tenant: &Tenant) -> Result<Grant<T>, Unlent> {
        self.acquire_as(tenant, false).await
    }

    /// As [`Pool::acquire`], for one that had its turn and could make none: it is the next of its tenant.
    pub async fn acquire_again(&self, tenant: &Tenant) -> Result<Grant<T>, Unlent> {
        self.acquire_as(tenant, true).await
    }

    async fn acquire_as(&self, tenant: &Tenant, again: bool) -> Result<Grant<T>, Unlent> {
        let here = here();
        let (ticket, call) = match self.ask(tenant, here, again)? {
            Asked::Granted(grant) => return Ok(grant),
            Asked::Queued(ticket, call) => (ticket, call),
        };
        let _waiting = Waiting { pool: self, tenant, ticket };
        match call.await.map_err(|_| self.unlent())? {
            Grant::Item(loan) => Ok(loan.brought(here)),
            Grant::Place(place) => Ok(Grant::Place(place)),
        }
    }

    fn unlent(&self) -> Unlent {
        if self.state().closed { Unlent::Closed } else { Unlent::CalledOff }
    }

    fn ask(&self, tenant: &Tenant, here: usize, again: bool) -> Result<Asked<T>, Unlent> {
        loop {
            let mut state = self.state();
            if state.closed {
                return Err(Unlent::Closed);
            }
            if let Some(idle) = state.nearest(here).map(|at| state.idle.remove(at)) {
                drop(state);
                match self.lend(idle, here) {
                    Some(loan) => return Ok(Asked::Granted(Grant::Item(loan))),
                    None => continue,
                }
            }
            if state.taken < state.useful {
                state.taken += 1;
                return Ok(Asked::Granted(Grant::Place(Place(Some(self.clone())))));
            }
            let (caller, call) = oneshot::channel();
            let ticket = match again {
                true => state.turns.rejoin(tenant, here, caller),
                false => state.turns.join(tenant, here, caller),
            };
            return Ok(Asked::Queued(ticket, call));
        }
    }

    /// An idle item in exchange for a place, if there is one.
    pub fn exchange(&self, place: Place<T>) -> Grant<T> {
        match self.take(Instant::now(), |_, _| true) {
            Some(loan) => Grant::Item(loan),
            None => Grant::Place(place),
        }
    }

    fn lend(&self, idle: Idle<T>, here: usize) -> Option<Loan<T>> {
        match self.loan(idle).brought(here) {
            Grant::Item(loan) => Some(loan),
            Grant::Place(_) => None,
        }
    }

    fn loan(&self, Idle { item, home, since }: Idle<T>) -> Loan<T> {
        Loan { item: Some(item), home, since, taken: false, pool: self.clone() }
    }

    /// How it fares.
    pub fn status(&self) -> Status {
        let state = self.state();
        Status { size: state.taken, idle: state.idle.len(), waiting: state.turns.waiting() }
    }

    /// Keeps of the idle items those that are to be kept, given how long they were idle; the longest
    /// are asked for first.
    pub fn retain(&self, mut keep: impl FnMut(Duration) -> bool) {
        let mut gone = Vec::new();
        let mut state = self.state();
        let idle = std::mem::take(&mut state.idle);
        for idle in idle {
            if keep(idle.since.elapsed()) { state.idle.push(idle) } else { gone.push(idle) }
        }
        drop(state);
        for idle in gone {
            drop(idle.item);
            self.free();
        }
    }

    /// Lends nothing from now on; who waits is told, and what comes back is dropped.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        let (idle, turns) = (std::mem::take(&mut state.idle), std::mem::take(&mut state.turns));
        state.taken -= idle.len();
        drop(state);
        drop((idle, turns));
    }

    /// So many places more are of use: those who wait may try.
    pub fn widen(&self, more: usize) {
        let mut state = self.state();
        state.useful = state.useful.saturating_add(more).min(state.places);
        self.fill_places(state);
    }

    /// As [`Pool::widen`], by one: the time is over that [`Place::refused`] spoke of.
    pub fn try_again(&self) {
        self.state().held = false;
        self.widen(1);
    }

    /// Sends all away who wait: they would wait in vain.
    pub fn call_off(&self) {
        let waiting = std::mem::take(&mut self.state().turns);
        drop(waiting);
    }

    /// A place is free: the next one may have it.
    fn free(&self) {
        let mut state = self.state();
        state.taken -= 1;
        self.fill_places(state);
    }

    /// Lets those who wait have the places that are free.
    fn fill_places<'a>(&'a self, mut state: MutexGuard<'a, State<T>>) {
        while !state.closed && state.taken < state.useful {
            let Some(next) = state.turns.next(here()) else { return };
            state.taken += 1;
            drop(state);
            let place = Place(Some(self.clone()));
            let sent = next.send(Grant::Place(place));
            state = self.state();
            if let Err(Grant::Place(mut place)) = sent {
                // Who waited has gone meanwhile; what comes next is done here, not in a drop within a drop.
                place.0 = None;
                state.taken -= 1;
            }
        }
    }

    /// An item has come back: the next one may have it, or it is idle.
    fn put_back(&self, item: T, home: Home, since: Instant) {
        if !item.is_sound() {
            drop(item);
            return self.free();
        }
        let mut idle = Idle { item, home, since };
        loop {
            let mut state = self.state();
            if state.closed {
                state.taken -= 1;
                drop(state);
                return drop(idle.item);
            }
            let Some(next) = state.turns.next(home.thread) else { return state.idle.push(idle) };
            drop(state);
            let Err(Grant::Item(mut loan)) = next.send(Grant::Item(self.loan(idle))) else { return };
            // Who waited has gone meanwhile.
            let Some(item) = loan.item.take() else { return };
            idle = Idle { item, home, since: loan.since };
        }
    }
}

impl<T: Item> State<T> {
    /// Which idle item is the best on that thread.
    fn nearest(&self, here: usize) -> Option<usize> {
        let own = self.idle.iter().rposition(|idle| idle.home.thread == here);
        own.or_else(|| self.idle.len().checked_sub(1))
    }
}

impl<T: Item> Clone for Pool<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// One that waits, for as long as it does.
struct Waiting<'a, T: Item> {
    pool: &'a Pool<T>,
    tenant: &'a Tenant,
    ticket: u64,
}

impl<T: Item> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        self.pool.state().turns.leave(self.tenant, self.ticket);
    }
}

impl<T: Item> Loan<T> {
    /// For how long it was idle before it was lent.
    pub fn was_idle(&self) -> Duration {
        self.since.elapsed()
    }

    /// Back to its pool, for the next one, if it is sound.
    pub fn give_back(self) {
        self.give_back_at(Instant::now());
    }

    /// The same, where it is known what time it is.
    pub fn give_back_at(mut self, now: Instant) {
        if let Some(item) = self.item.take() {
            self.pool.put_back(item, self.home, now);
        }
    }

    /// Drops it, and keeps its place.
    pub fn discard(mut self) -> Place<T> {
        self.item = None;
        Place(Some(self.pool.clone()))
    }

    /// Moved here, if it was away from its thread for long.
    fn brought(mut self, here: usize) -> Grant<T> {
        self.taken = true;
        if self.home.thread == here {
            self.home.away = 0;
            return Grant::Item(self);
        }
        self.home.away += 1;
        if self.home.away < AWAY {
            return Grant::Item(self);
        }
        self.home = Home { thread: here, away: 0 };
        match self.item.take().and_then(T::moved) {
            Some(item) => {
                self.item = Some(item);
                Grant::Item(self)
            }
            None => Grant::Place(self.discard()),
        }
    }
}

impl<T: Item> Place<T> {
    /// Makes it an item's, which belongs to this thread.
    pub fn fill(mut self, item: T) -> Option<Loan<T>> {
        let home = Home { thread: here(), away: 0 };
        self.0.take().map(|pool| Loan { item: Some(item), home, since: Instant::now(), taken: true, pool })
    }
}

impl<T: Item> Place<T> {
    /// None could be made: as many places are of use as there are items, until somebody calls
    /// [`Pool::try_again`]. `true`: nobody is about to, and the caller has to.
    pub fn refused(mut self) -> bool {
        let Some(pool) = self.0.take() else { return false };
        let mut state = pool.state();
        state.taken -= 1;
        state.useful = state.taken;
        !std::mem::replace(&mut state.held, true)
    }
}

impl<T: Item> Drop for Place<T> {
    fn drop(&mut self) {
        if let Some(pool) = self.0.take() {
            pool.free();
        }
    }
}

impl<T: Item> Drop for Loan<T> {
    fn drop(&mut self) {
        match self.item.take() {
            Some(item) if self.taken => {
                drop(item);
                self.pool.free();
            }
            Some(item) => self.pool.put_back(item, self.home, self.since),
            None => {}
        }
    }
}

impl<T: Item> Deref for Loan<T> {
    type Target = T;

    #[expect(clippy::expect_used, reason = "what takes it out takes the loan")]
    fn deref(&self) -> &T {
        self.item.as_ref().expect("a loan holds its item")
    }
}

impl<T: Item> DerefMut for Loan<T> {
    #[expect(clippy::expect_used, reason = "what takes it out takes the loan")]
    fn deref_mut(&mut self) -> &mut T {
        self.item.as_mut().expect("a loan holds its item")
    }
}

#[cfg(test)]
#[path = "fair_tests.rs"]
mod tests;
