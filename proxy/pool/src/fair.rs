//! A pool of few things for many who want one: fair between tenants, and with an eye on threads.
//!
//! A thing belongs to the thread on which it was made, and works best there (a socket's events come to that
//! thread). So whoever asks gets one of its own thread if there is one, and a thing that comes back goes to one who waits there, as long as
//! [`Lanes`] find that fair.
//!
//! A tenant may have its [`Share`] of the places, so that one which holds on to what it has leaves something to others.
//!
//! [`choice`]: which of those that are idle. [`loan`]: what becomes of what is lent. [`pause`]: nothing is lent for a while.
//!
//! Sized by places: a thing has one, and so has one that is being made. What is not given back with a word is
//! dropped, so that a user who breaks off leaves nothing behind.

mod choice;
mod loan;
mod pause;

pub use choice::FRESH;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::claim::{Claim, Hindrance};
use super::lanes::{Lanes, Ticket};
use super::share::{Holders, Reserved, Share};
use super::turns::{Offer, Tenant};

/// What a pool holds.
pub trait Item: Sized {
    /// Whether it may be used again.
    fn is_sound(&self) -> bool;

    /// Comes over to the thread that calls. `None` where it broke on the way.
    fn moved(self) -> Option<Self>;

    /// A number of its own, if it works better for tenants that it has served before.
    fn number(&self) -> Option<u64> {
        None
    }
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
    waiting: Lanes<oneshot::Sender<Grant<T>>>,
    holders: Holders,
    closed: bool,
    /// Nothing is lent, nor kept, until it is resumed; who asks waits.
    paused: bool,
    resumed: Arc<Notify>,
    /// When it was resumed last.
    resumed_at: Option<Instant>,
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
    Queued(Ticket, oneshot::Receiver<Grant<T>>),
}

/// An item on loan. Dropped, it is gone, and its place is free; see [`Loan::give_back`].
pub struct Loan<T: Item> {
    // There until the loan ends.
    item: Option<T>,
    home: Home,
    since: Instant,
    /// Whoever waited for it has it: until then it is as good as idle.
    taken: bool,
    claim: Claim,
    pool: Pool<T>,
}

/// A place that is taken, and given back when this is dropped.
pub struct Place<T: Item> {
    claim: Claim,
    // There until it is used.
    pool: Option<Pool<T>>,
}

/// Why nothing is lent.
#[derive(Debug, PartialEq, Eq)]
pub enum Unlent {
    /// The pool is closed.
    Closed,
    /// All who waited were called off.
    CalledOff,
}

/// The state of a pool.
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
pub fn here() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static HERE: usize = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    HERE.with(|here| *here)
}

impl<T: Item> Pool<T> {
    /// Room for so many, of which each tenant may have all; nothing is in it.
    pub fn new(places: usize) -> Self {
        Self::shared(places, Share::All)
    }

    /// Room for so many, of which each tenant may have its share.
    pub fn shared(places: usize, share: Share) -> Self {
        let (idle, waiting, holders) = (Vec::new(), Lanes::default(), Holders::new(share));
        let state = State {
            idle,
            taken: 0,
            places,
            useful: places,
            held: false,
            waiting,
            holders,
            closed: false,
            paused: false,
            resumed: Arc::default(),
            resumed_at: None,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An idle item that `fits` at once, given how long it is idle `now`; nothing is waited for.
    pub fn take(&self, claim: &Claim, now: Instant, fits: impl Fn(&T, Duration) -> bool) -> Option<Loan<T>> {
        let here = here();
        let mut state = self.state();
        let at = state.nearest(here, claim.mark(), now)?;
        let idle = state.idle.get(at)?;
        if !state.may(claim) || !fits(&idle.item, now.saturating_duration_since(idle.since)) {
            return None;
        }
        let idle = state.idle.remove(at);
        state.holders.add(claim, now);
        drop(state);
        self.lend(idle, claim, here)
    }

    /// An item, or a place to make one, as soon as it is one's turn. Whoever
    /// stops waiting leaves the queue.
    pub async fn acquire(&self, claim: &Claim) -> Result<Grant<T>, Unlent> {
        self.acquire_as(claim, false).await
    }

    /// As [`Pool::acquire`], for one that had its turn and could make none: it is the next of its tenant.
    pub async fn acquire_again(&self, claim: &Claim) -> Result<Grant<T>, Unlent> {
        self.acquire_as(claim, true).await
    }

    async fn acquire_as(&self, claim: &Claim, again: bool) -> Result<Grant<T>, Unlent> {
        let here = here();
        let (ticket, call) = match self.ask(claim, here, again)? {
            Asked::Granted(grant) => return Ok(grant),
            Asked::Queued(ticket, call) => (ticket, call),
        };
        let mut waiting = Waiting { pool: self, claim, ticket: Some(ticket) };
        let called = call.await;
        // Whoever is called is in no queue any more.
        waiting.ticket = None;
        match called.map_err(|_| self.unlent())? {
            Grant::Item(loan) => Ok(loan.brought(here)),
            Grant::Place(place) => Ok(Grant::Place(place)),
        }
    }

    fn unlent(&self) -> Unlent {
        if self.state().closed { Unlent::Closed } else { Unlent::CalledOff }
    }

    fn ask(&self, claim: &Claim, here: usize, again: bool) -> Result<Asked<T>, Unlent> {
        let now = Instant::now();
        loop {
            let mut state = self.state();
            if state.closed {
                return Err(Unlent::Closed);
            }
            state.holders.note(claim, now);
            if !(state.has_room() && state.may(claim)) {
                let (caller, call) = oneshot::channel();
                let ticket = state.waiting.join(claim, here, again, caller);
                return Ok(Asked::Queued(ticket, call));
            }
            state.holders.add(claim, now);
            let Some(idle) = state.nearest(here, claim.mark(), now).map(|at| state.idle.remove(at)) else {
                state.taken += 1;
                return Ok(Asked::Granted(Grant::Place(self.place(claim.clone()))));
            };
            drop(state);
            if let Some(loan) = self.lend(idle, claim, here) {
                return Ok(Asked::Granted(Grant::Item(loan)));
            }
        }
    }

    /// An idle item in exchange for a place, if there is one.
    pub fn exchange(&self, mut place: Place<T>) -> Grant<T> {
        let here = here();
        let mut state = self.state();
        let Some(idle) = state.nearest(here, 0, Instant::now()).map(|at| state.idle.remove(at)) else {
            return Grant::Place(place);
        };
        // Whose it is stays as it was.
        place.pool = None;
        state.taken -= 1;
        self.settle(state);
        self.loan(idle, place.claim.clone()).brought(here)
    }

    fn lend(&self, idle: Idle<T>, claim: &Claim, here: usize) -> Option<Loan<T>> {
        match self.loan(idle, claim.clone()).brought(here) {
            Grant::Item(loan) => Some(loan),
            Grant::Place(_) => None,
        }
    }

    fn loan(&self, Idle { item, home, since }: Idle<T>, claim: Claim) -> Loan<T> {
        Loan { item: Some(item), home, since, taken: false, claim, pool: self.clone() }
    }

    fn place(&self, claim: Claim) -> Place<T> {
        Place { claim, pool: Some(self.clone()) }
    }

    /// What keeps somebody from one more, whether there is one or not; `None`: nothing but that there is none.
    pub fn hindrance(&self, claim: &Claim) -> Option<Hindrance> {
        let state = self.state();
        let free = state.free();
        // Where nothing is free, nothing is kept for others.
        state.holders.hindrance(claim, if free == 0 { usize::MAX } else { free })
    }

    /// How many a tenant has.
    pub fn held(&self, tenant: &Tenant) -> usize {
        self.state().holders.held(tenant)
    }

    /// So many are kept for single tenants from now on.
    pub fn reserve(&self, reserved: Reserved) {
        let mut state = self.state();
        state.holders.set_reserved(reserved);
        self.settle(state);
    }

    /// Its state.
    pub fn status(&self) -> Status {
        let state = self.state();
        Status { size: state.taken, idle: state.idle.len(), waiting: state.waiting.waiting() }
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
            let mut state = self.state();
            state.taken -= 1;
            self.settle(state);
        }
    }

    /// Lends nothing from now on; who waits is told, and what comes back is dropped.
    pub fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.resumed.notify_waiters();
        let (idle, waiting) = (std::mem::take(&mut state.idle), std::mem::take(&mut state.waiting));
        state.taken -= idle.len();
        drop(state);
        drop((idle, waiting));
    }

    /// So many places more are of use: those who wait may try.
    pub fn widen(&self, more: usize) {
        let mut state = self.state();
        state.useful = state.useful.saturating_add(more).min(state.places);
        self.settle(state);
    }

    /// Room for so many from now on, of which each tenant may have its share. Where there are more, idle ones go at
    /// once, and others as they come back.
    pub fn resize(&self, places: usize, share: Share) {
        let mut gone = Vec::new();
        let mut state = self.state();
        // Where no more could be made, as many are of use as before.
        let limited = state.useful < state.places;
        state.useful = if limited { state.useful.min(places) } else { places };
        state.places = places;
        state.holders.set_share(share);
        while state.is_too_large()
            && let Some(idle) = state.idle_longest()
        {
            gone.push(idle);
            state.taken -= 1;
        }
        self.settle(state);
        drop(gone);
    }

    /// Looks again who may have what there is: a tenant has a larger share once no other is about.
    pub fn look_again(&self) {
        self.settle(self.state());
    }

    /// As [`Pool::widen`], by one: the time is over that [`Place::refused`] spoke of.
    pub fn try_again(&self) {
        self.state().held = false;
        self.widen(1);
    }

    /// Sends all away who wait: they would wait in vain.
    pub fn call_off(&self) {
        let waiting = std::mem::take(&mut self.state().waiting);
        drop(waiting);
    }

    /// A place of somebody's is free: the next one may have it.
    fn free(&self, claim: &Claim) {
        let mut state = self.state();
        state.taken -= 1;
        state.holders.take_off(claim, Instant::now());
        self.settle(state);
    }

    /// Lets those who wait have what there is, as far as their tenants may have more. Behind it nothing is left that
    /// one of them may have: whatever makes room, or makes a tenant have less, ends here.
    fn settle<'a>(&'a self, mut state: MutexGuard<'a, State<T>>) {
        while !state.closed && state.waiting.waiting() > 0 && state.has_room() {
            let free = state.free();
            let State { waiting, holders, idle, .. } = &mut *state;
            let offer = match idle.last() {
                Some(idle) => Offer { thread: idle.home.thread, number: idle.item.number() },
                None => Offer { thread: here(), number: None },
            };
            let Some((claim, next)) = waiting.next(offer, holders, free) else { return };
            holders.add(&claim, Instant::now());
            let grant = match idle.pop() {
                Some(idle) => Grant::Item(self.loan(idle, claim)),
                None => {
                    state.taken += 1;
                    Grant::Place(self.place(claim))
                }
            };
            let is_over = state.waiting.waiting() == 0 || !state.has_room();
            drop(state);
            let sent = next.send(grant);
            if is_over && sent.is_ok() {
                return;
            }
            state = self.state();
            // Who waited has gone meanwhile; what comes next is done here, not in a drop within a drop.
            match sent {
                Ok(()) => {}
                Err(Grant::Place(mut place)) => {
                    place.pool = None;
                    state.taken -= 1;
                    state.holders.take_off(&place.claim, Instant::now());
                }
                Err(Grant::Item(mut loan)) => {
                    state.holders.take_off(&loan.claim, Instant::now());
                    let (home, since) = (loan.home, loan.since);
                    if let Some(item) = loan.item.take() {
                        match state.keeps_nothing() {
                            true => state.taken -= 1,
                            false => state.idle.push(Idle { item, home, since }),
                        }
                    }
                }
            }
        }
    }

    /// An item of somebody's has come back: the next one may have it, or it is idle.
    fn put_back(&self, item: T, home: Home, since: Instant, claim: &Claim) {
        if !item.is_sound() {
            drop(item);
            return self.free(claim);
        }
        let mut state = self.state();
        state.holders.take_off(claim, since);
        if state.keeps_nothing() {
            drop(state);
            // Its place is free once it is gone.
            drop(item);
            let mut state = self.state();
            state.taken -= 1;
            return self.settle(state);
        }
        state.idle.push(Idle { item, home, since });
        self.settle(state);
    }
}

impl<T: Item> State<T> {
    /// Whether there is an item, or a place for one.
    fn has_room(&self) -> bool {
        !self.paused && (!self.idle.is_empty() || self.taken < self.useful)
    }

    /// How many more could be lent, if all that there is room for could be made. Where they can't, nothing is kept for
    /// anybody that others could use.
    fn free(&self) -> usize {
        (self.places + self.idle.len()).saturating_sub(self.taken)
    }

    /// Whether somebody may have one more, if there is one.
    fn may(&self, claim: &Claim) -> bool {
        self.holders.may_have_one(claim, self.free())
    }

    /// Whether what comes back is dropped.
    fn keeps_nothing(&self) -> bool {
        self.closed || self.paused || self.is_too_large()
    }

    /// Whether there are more than there is room for.
    fn is_too_large(&self) -> bool {
        self.taken > self.places
    }

    /// Takes out the item that was idle longest.
    fn idle_longest(&mut self) -> Option<Idle<T>> {
        (!self.idle.is_empty()).then(|| self.idle.remove(0))
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
    claim: &'a Claim,
    /// What it leaves the queue by; `None`: it was called.
    ticket: Option<Ticket>,
}

impl<T: Item> Drop for Waiting<'_, T> {
    fn drop(&mut self) {
        if let Some(ticket) = &self.ticket {
            self.pool.state().waiting.leave(self.claim, ticket);
        }
    }
}

#[cfg(test)]
#[path = "fair_tests.rs"]
mod tests;
