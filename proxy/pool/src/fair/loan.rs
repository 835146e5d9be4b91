//! What becomes of what is lent: it comes back, is given up, or is made.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use tokio::time::Instant;

use super::{AWAY, Grant, Home, Item, Loan, Place, here};

impl<T: Item> Loan<T> {
    /// For how long it was idle before it was lent, given what time it is `now`.
    pub fn was_idle(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    /// Back to its pool, for the next one, if it is sound.
    pub fn give_back(self) {
        self.give_back_at(Instant::now());
    }

    /// The same, where it is known what time it is.
    pub fn give_back_at(mut self, now: Instant) {
        if let Some(item) = self.item.take() {
            self.pool.put_back(item, self.home, now, &self.claim);
        }
    }

    /// Drops it, and keeps its place.
    pub fn discard(mut self) -> Place<T> {
        self.item = None;
        self.pool.place(self.claim.clone())
    }

    /// Moved here, if it was away from its thread for long.
    pub(super) fn brought(mut self, here: usize) -> Grant<T> {
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
        let (pool, claim) = (self.pool.take()?, self.claim.clone());
        Some(Loan { item: Some(item), home, since: Instant::now(), taken: true, claim, pool })
    }

    /// None could be made: as many places are of use as there are items, until somebody calls
    /// [`Pool::try_again`]. `true`: nobody is about to, and the caller has to.
    pub fn refused(mut self) -> bool {
        let Some(pool) = self.pool.take() else { return false };
        let mut state = pool.state();
        state.taken -= 1;
        state.useful = state.taken;
        state.holders.take_off(&self.claim, Instant::now());
        let first = !std::mem::replace(&mut state.held, true);
        pool.settle(state);
        first
    }
}

impl<T: Item> Drop for Place<T> {
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            pool.free(&self.claim);
        }
    }
}

impl<T: Item> Drop for Loan<T> {
    fn drop(&mut self) {
        match self.item.take() {
            Some(item) if self.taken => {
                drop(item);
                self.pool.free(&self.claim);
            }
            Some(item) => self.pool.put_back(item, self.home, self.since, &self.claim),
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
