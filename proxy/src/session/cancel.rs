//! Cancel keys of our own, and what they reach: the query that their client is running, or waits to run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use subtle::ConstantTimeEq;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::pool::cancel::send_cancel;
use crate::pool::servers::Servers;

/// The key of protocol 3.0, in bytes; from 3.2 on it is as long as we like.
const SHORT_KEY: usize = 4;
const LONG_KEY: usize = 32;

/// All clients that can be cancelled.
#[derive(Debug, Default)]
pub struct Cancels {
    slots: Mutex<HashMap<i32, Arc<CancelSlot>>>,
}

/// One client's key, and the server that it is using now.
#[derive(Debug)]
pub struct CancelSlot {
    /// What `BackendKeyData` says for the process.
    pub pid: i32,
    /// What it says for the key.
    pub key: Bytes,
    /// The servers that it works on.
    servers: OnceLock<Servers>,
    state: Mutex<State>,
    idle: Notify,
    asked: Notify,
}

#[derive(Debug, Default)]
struct State {
    server: Option<(i32, Bytes)>,
    /// A request is on its way to PostgreSQL.
    in_flight: bool,
    /// PostgreSQL works on a statement of the proxy's own, which must not be what is cancelled.
    held: bool,
    /// How often the client has asked.
    asked: u64,
    /// So many of these are dealt with.
    answered: u64,
}

/// A request on its way. However that ends, its answer is no longer waited for.
struct InFlight<'a> {
    slot: &'a CancelSlot,
    /// What the client has asked for up to here.
    answers: u64,
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.slot.state);
        (state.in_flight, state.answered) = (false, self.answers);
        drop(state);
        self.slot.idle.notify_waiters();
    }
}

/// A client's entry; leaving takes it out.
#[derive(Debug)]
pub struct CancelEntry {
    slot: Arc<CancelSlot>,
    cancels: Arc<Cancels>,
}

impl Cancels {
    /// Gives a client a random key. It reaches nothing before [`CancelEntry::work_on`].
    pub fn register(self: &Arc<Self>, protocol_minor: u16) -> CancelEntry {
        let mut key = vec![0u8; if protocol_minor >= 2 { LONG_KEY } else { SHORT_KEY }];
        rand::fill(&mut key[..]);
        let mut slots = lock(&self.slots);
        let pid = loop {
            let pid = rand::random::<i32>() & i32::MAX;
            if pid != 0 && !slots.contains_key(&pid) {
                break pid;
            }
        };
        let slot = Arc::new(CancelSlot {
            pid,
            key: key.into(),
            servers: OnceLock::new(),
            state: Mutex::default(),
            idle: Notify::new(),
            asked: Notify::new(),
        });
        slots.insert(pid, Arc::clone(&slot));
        CancelEntry { slot, cancels: Arc::clone(self) }
    }

    /// The client with this key, if there is one.
    pub fn find(&self, pid: i32, key: &[u8]) -> Option<Arc<CancelSlot>> {
        let slot = lock(&self.slots).get(&pid).cloned()?;
        bool::from(slot.key.ct_eq(key)).then_some(slot)
    }
}

impl CancelSlot {
    /// Done when the client asks, from this call on, for what it waits for to be given up.
    pub fn cancelled(&self) -> Notified<'_> {
        self.asked.notified()
    }

    /// Whether a cancel request of the client's is on its way to PostgreSQL.
    pub fn is_in_flight(&self) -> bool {
        lock(&self.state).in_flight
    }

    /// Cancels what the client runs now, or waits to run. When it runs nothing, this does nothing.
    ///
    /// One request at a time is on its way to PostgreSQL. What is asked for meanwhile waits for its end, since by then
    /// the client may run something else, and goes with the next one.
    pub async fn cancel(&self) {
        self.asked.notify_waiters();
        let number = {
            let mut state = lock(&self.state);
            state.asked += 1;
            state.asked
        };
        loop {
            let over = self.idle.notified();
            match self.next(number) {
                Next::Done => return,
                Next::Wait => over.await,
                Next::Send(_in_flight, (pid, key)) => {
                    let Some(target) = self.servers.get().map(Servers::target) else { return };
                    if let Err(error) = send_cancel(&target, pid, &key).await {
                        tracing::warn!(database = %target, %error, "failed to forward a cancel request");
                    }
                }
            }
        }
    }

    /// What becomes of the request with that number now.
    fn next(&self, number: u64) -> Next<'_> {
        let mut state = lock(&self.state);
        if state.answered >= number {
            return Next::Done;
        }
        if state.in_flight || state.held {
            return Next::Wait;
        }
        let Some(server) = state.server.clone() else { return Next::Done };
        state.in_flight = true;
        Next::Send(InFlight { slot: self, answers: state.asked }, server)
    }
}

/// What becomes of a request.
enum Next<'a> {
    /// It was dealt with, or there is nothing to cancel.
    Done,
    /// Another is on its way, or it would reach a statement of the proxy's.
    Wait,
    /// It goes to this server.
    Send(InFlight<'a>, (i32, Bytes)),
}

impl CancelEntry {
    /// The key, to be told to the client.
    pub fn slot(&self) -> &Arc<CancelSlot> {
        &self.slot
    }

    /// The client works on these servers.
    pub fn work_on(&self, servers: &Servers) {
        let _ = self.slot.servers.set(servers.clone());
    }

    /// The client works on this server from now on.
    pub fn attach(&self, pid: i32, key: &Bytes) {
        lock(&self.slot.state).server = Some((pid, key.clone()));
    }

    /// It works on none. `true`: a cancel for that server is still on its way, so
    /// that [`CancelEntry::settled`] must be awaited before anybody else gets the server.
    pub fn detach(&self) -> bool {
        let mut state = lock(&self.slot.state);
        state.server = None;
        let (let_go, in_flight) = (std::mem::take(&mut state.held), state.in_flight);
        drop(state);
        if let_go {
            self.slot.idle.notify_waiters();
        }
        in_flight
    }

    /// Keeps cancel requests back as long as PostgreSQL works on a statement of the proxy's own. If that were
    /// cancelled, what stands behind it in the same write would run all the same: without its settings, say.
    pub fn hold(&self, held: bool) {
        let mut state = lock(&self.slot.state);
        let let_go = state.held && !held;
        state.held = held;
        drop(state);
        if let_go {
            self.slot.idle.notify_waiters();
        }
    }

    /// Returns when no cancel is on its way.
    pub async fn settled(&self) {
        loop {
            let notified = self.slot.idle.notified();
            if !lock(&self.slot.state).in_flight {
                return;
            }
            notified.await;
        }
    }
}

impl Drop for CancelEntry {
    fn drop(&mut self) {
        self.detach();
        lock(&self.cancels.slots).remove(&self.slot.pid);
    }
}

/// Nothing in here can be left half done, so a panic elsewhere changes nothing.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_must_be_right_to_the_last_byte() {
        let cancels = Arc::new(Cancels::default());
        let entry = cancels.register(0);
        let (pid, mut key) = (entry.slot().pid, entry.slot().key.to_vec());
        assert_eq!(key.len(), SHORT_KEY);
        assert!(cancels.find(pid, &key).is_some());
        key[3] ^= 1;
        assert!(cancels.find(pid, &key).is_none());
        assert!(cancels.find(pid, &[]).is_none());
        assert_eq!(cancels.register(2).slot().key.len(), LONG_KEY);
        drop(entry);
        key[3] ^= 1;
        assert!(cancels.find(pid, &key).is_none());
    }

    #[test]
    fn what_is_asked_for_meanwhile_goes_with_the_next() {
        let cancels = Arc::new(Cancels::default());
        let entry = cancels.register(0);
        entry.attach(7, &Bytes::from_static(b"1234"));
        let slot = entry.slot();
        lock(&slot.state).asked = 1;
        let first = slot.next(1);
        assert!(matches!(first, Next::Send(..)) && matches!(slot.next(1), Next::Wait));
        lock(&slot.state).asked = 3;
        assert!(matches!(slot.next(2), Next::Wait) && entry.detach());
        entry.attach(8, &Bytes::from_static(b"1234"));
        drop(first);
        let second = slot.next(2);
        assert!(matches!(&second, Next::Send(_, (8, _))));
        drop(second);
        assert!(matches!(slot.next(3), Next::Done) && !entry.detach());
    }

    #[test]
    fn statement_of_the_proxys_own_is_not_cancelled() {
        let cancels = Arc::new(Cancels::default());
        let entry = cancels.register(0);
        entry.attach(7, &Bytes::from_static(b"1234"));
        let slot = Arc::clone(entry.slot());
        lock(&slot.state).asked = 1;
        entry.hold(true);
        assert!(matches!(slot.next(1), Next::Wait));
        entry.hold(false);
        assert!(matches!(slot.next(1), Next::Send(_, (7, _))));
        lock(&slot.state).asked = 2;
        entry.hold(true);
        drop(entry);
        assert!(matches!(slot.next(2), Next::Done), "the client has left");
    }

    #[tokio::test]
    async fn cancel_of_an_idle_client_reaches_nobody() {
        let cancels = Arc::new(Cancels::default());
        let entry = cancels.register(0);
        entry.attach(7, &Bytes::from_static(b"1234"));
        assert!(!entry.detach());
        entry.settled().await;
    }
}
