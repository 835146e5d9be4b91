//! A pool that lends nothing for a while, and loses nobody who waits.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::futures::OwnedNotified;
use tokio::time::Instant;

use super::{Item, Pool};

/// What has become of a pause since some moment.
enum Since {
    /// It lasts; done when it is over.
    Paused(OwnedNotified),
    /// There was one, up to then; `None`: there was none, or nothing is lent any more.
    Resumed(Option<Instant>),
}

impl<T: Item> Pool<T> {
    /// Lends nothing until [`Pool::resume`]; who asks waits. What is idle, and what comes back, is dropped.
    pub fn pause(&self) {
        let mut state = self.state();
        state.paused = true;
        let idle = std::mem::take(&mut state.idle);
        state.taken -= idle.len();
        drop(state);
        drop(idle);
    }

    /// Lends again: who waits may have what there is.
    pub fn resume(&self) {
        let mut state = self.state();
        if state.paused {
            (state.paused, state.resumed_at) = (false, Some(Instant::now()));
            state.resumed.notify_waiters();
        }
        self.settle(state);
    }

    /// Whether it is paused.
    pub fn is_paused(&self) -> bool {
        self.state().paused
    }

    /// Whether it was paused since then, or is. Waits until it no longer is, and gives the moment of that.
    pub async fn resumed_since(&self, then: Instant) -> Option<Instant> {
        loop {
            match self.pause_since(then) {
                Since::Resumed(at) => return at,
                Since::Paused(news) => news.await,
            }
        }
    }

    fn pause_since(&self, then: Instant) -> Since {
        let state = self.state();
        match state.paused && !state.closed {
            // It hears of what comes after this, and that is under the lock.
            true => Since::Paused(Arc::clone(&state.resumed).notified_owned()),
            false => Since::Resumed(state.resumed_at.filter(|at| *at > then)),
        }
    }

    /// How many items have been idle for longer than that.
    pub fn idle_longer_than(&self, limit: Duration) -> usize {
        self.state().idle.iter().filter(|idle| idle.since.elapsed() > limit).count()
    }
}
