//! A pool of few things for many who want one: fair between tenants, and with an eye on threads.
//!
//! A thing belongs to the thread on which it was made, and works best there (a socket's events come to that
//! thread). So whoever asks gets one of its own thread if there is one, and a thing that comes back goes to one who waits there, as long as
//! [`Turns`] finds that fair.
//!
//! A tenant may have its [`Share`] of the places, so that one which holds on to what it has leaves something to others.
//!
//! [`loan`]: what becomes of what is lent. [`pause`]: nothing is lent for a while.
//!
//! Sized by places: a thing has one, and so has one that is being made. What is not given back with a word is
//! dropped, so that a user who breaks off leaves nothing behind.

mod loan;
mod pause;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use super::share::{Holders, Share};
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
    tenant: Tenant,
    pool: Pool<T>,
}

/// A place that is taken, and given back when this is dropped.
pub struct Place<T: Item> {
    tenant: Tenant,
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
    /// Room for so many, of which each tenant may have all; nothing is in it.
    pub fn new(places: usize) -> Self {
        Self::shared(places, Share::All)
    }

    /// Room for so many, of which each tenant may have its share.
    pub fn shared(places: usize, share: Share) -> Self {
        let (idle, turns, holders) = (Vec::new(), Turns::default(), Holders::new(share));
        let state = State {
            idle,
            taken: 0,
            places,
            useful: places,
            held: false,
            turns,
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

    /// An idle item for `tenant` that `fits` at once, given how long it is idle `now`; nothing is waited for.
    pub fn take(
        &self,
        tenant: &Tenant,
        now: Instant,
        fits: impl Fn(&T, Duration) -> bool,
    ) -> Option<Loan<T>> {
        let here = here();
        let mut state = self.state();
        let at = state.nearest(here)?;
        let idle = state.idle.get(at)?;
        if !state.holders.may_have_one(tenant) || !fits(&idle.item, now.saturating_duration_since(idle.since))
        {
            return None;
        }
        let idle = state.idle.remove(at);
        state.holders.add(tenant, now);
        drop(state);
        self.lend(idle, tenant, here)
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
        let now = Instant::now();
        loop {
            let mut state = self.state();
            if state.closed {
                return Err(Unlent::Closed);
            }
            state.holders.note(tenant, now);
            let may = state.has_room() && state.holders.may_have_one(tenant);
            if !may {
                let (caller, call) = oneshot::channel();
                let ticket = match again {
                    true => state.turns.rejoin(tenant, here, caller),
                    false => state.turns.join(tenant, here, caller),
                };
                return Ok(Asked::Queued(ticket, call));
            }
            state.holders.add(tenant, now);
            let Some(idle) = state.nearest(here).map(|at| state.idle.remove(at)) else {
                state.taken += 1;
                return Ok(Asked::Granted(Grant::Place(self.place(tenant.clone()))));
            };
            drop(state);
            if let Some(loan) = self.lend(idle, tenant, here) {
                return Ok(Asked::Granted(Grant::Item(loan)));
            }
        }
    }

    /// An idle item in exchange for a place, if there is one.
    pub fn exchange(&self, mut place: Place<T>) -> Grant<T> {
        let here = here();
        let mut state = self.state();
        let Some(idle) = state.nearest(here).map(|at| state.idle.remove(at)) else {
            return Grant::Place(place);
        };
        // Whose it is stays as it was.
        place.pool = None;
        state.taken -= 1;
        self.settle(state);
        self.loan(idle, std::mem::take(&mut place.tenant)).brought(here)
    }

    fn lend(&self, idle: Idle<T>, tenant: &Tenant, here: usize) -> Option<Loan<T>> {
        match self.loan(idle, tenant.clone()).brought(here) {
            Grant::Item(loan) => Some(loan),
            Grant::Place(_) => None,
        }
    }

    fn loan(&self, Idle { item, home, since }: Idle<T>, tenant: Tenant) -> Loan<T> {
        Loan { item: Some(item), home, since, taken: false, tenant, pool: self.clone() }
    }

    fn place(&self, tenant: Tenant) -> Place<T> {
        Place { tenant, pool: Some(self.clone()) }
    }

    /// How many `tenant` may have, where that is what keeps it from one more.
    pub fn share_used_up(&self, tenant: &Tenant) -> Option<usize> {
        let state = self.state();
        (!state.holders.may_have_one(tenant)).then(|| state.holders.share()).flatten()
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
        let (idle, turns) = (std::mem::take(&mut state.idle), std::mem::take(&mut state.turns));
        state.taken -= idle.len();
        drop(state);
        drop((idle, turns));
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
        let waiting = std::mem::take(&mut self.state().turns);
        drop(waiting);
    }

    /// A place of `tenant`'s is free: the next one may have it.
    fn free(&self, tenant: &Tenant) {
        let mut state = self.state();
        state.taken -= 1;
        state.holders.take_off(tenant, Instant::now());
        self.settle(state);
    }

    /// Lets those who wait have what there is, as far as their tenants may have more. Behind it nothing is left that
    /// one of them may have: whatever makes room, or makes a tenant have less, ends here.
    fn settle<'a>(&'a self, mut state: MutexGuard<'a, State<T>>) {
        while !state.closed && state.turns.waiting() > 0 && state.has_room() {
            let State { turns, holders, idle, .. } = &mut *state;
            let thread = idle.last().map_or_else(here, |idle| idle.home.thread);
            let Some((tenant, next)) = turns.next(thread, |tenant| holders.may_have_one(tenant)) else {
                return;
            };
            holders.add(&tenant, Instant::now());
            let grant = match idle.pop() {
                Some(idle) => Grant::Item(self.loan(idle, tenant)),
                None => {
                    state.taken += 1;
                    Grant::Place(self.place(tenant))
                }
            };
            drop(state);
            let sent = next.send(grant);
            state = self.state();
            // Who waited has gone meanwhile; what comes next is done here, not in a drop within a drop.
            match sent {
                Ok(()) => {}
                Err(Grant::Place(mut place)) => {
                    place.pool = None;
                    state.taken -= 1;
                    state.holders.take_off(&place.tenant, Instant::now());
                }
                Err(Grant::Item(mut loan)) => {
                    state.holders.take_off(&loan.tenant, Instant::now());
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

    /// An item of `tenant`'s has come back: the next one may have it, or it is idle.
    fn put_back(&self, item: T, home: Home, since: Instant, tenant: &Tenant) {
        if !item.is_sound() {
            drop(item);
            return self.free(tenant);
        }
        let mut state = self.state();
        state.holders.take_off(tenant, since);
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

#[cfg(test)]
#[path = "fair_tests.rs"]
mod tests;
