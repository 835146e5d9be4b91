//! Cancel keys of the proxy. A key reaches the query that its client runs, or waits to run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use subtle::ConstantTimeEq;
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::chance;
use crate::pool::cancel::send_cancel;
use crate::pool::servers::Servers;
use crate::pool::target::Target;
use crate::simulation::{Fault, fault};

/// The length of a key of protocol 3.0, in bytes; from 3.2 on the proxy chooses the length.
const SHORT_KEY: usize = 4;
const LONG_KEY: usize = 32;

/// The cancel keys of all clients.
#[derive(Debug, Default)]
pub struct Cancels {
    slots: Mutex<HashMap<i32, Arc<CancelSlot>>>,
}

/// The key of one client, and the server that it uses now.
#[derive(Debug)]
pub struct CancelSlot {
    /// The process ID in `BackendKeyData`.
    pub pid: i32,
    /// The key in `BackendKeyData`.
    pub key: Bytes,
    state: Mutex<State>,
    idle: Notify,
    asked: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// The servers of the pool that the client uses, or used last.
    servers: Option<Servers>,
    server: Option<(i32, Bytes)>,
    /// A request is on its way to PostgreSQL.
    in_flight: bool,
    /// PostgreSQL runs a statement of the proxy, which must not be cancelled.
    held: bool,
    /// The number of cancel requests of the client.
    asked: u64,
    /// The number of those that are done.
    answered: u64,
}

/// A request on its way. Dropping it ends it, whatever its result.
struct InFlight<'a> {
    slot: &'a CancelSlot,
    /// The number of cancel requests that this one answers.
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

/// A client's entry; dropping it removes the key.
#[derive(Debug)]
pub struct CancelEntry {
    slot: Arc<CancelSlot>,
    cancels: Arc<Cancels>,
}

impl Cancels {
    /// Gives a client a random key. The key reaches nothing before [`CancelEntry::attach`].
    pub fn register(self: &Arc<Self>, protocol_minor: u16) -> CancelEntry {
        let mut key = vec![0u8; if protocol_minor >= 2 { LONG_KEY } else { SHORT_KEY }];
        chance::fill(&mut key);
        let mut slots = lock(&self.slots);
        let pid = loop {
            let pid = chance::number() as i32 & i32::MAX;
            if pid != 0 && !slots.contains_key(&pid) {
                break pid;
            }
        };
        let slot = Arc::new(CancelSlot {
            pid,
            key: key.into(),
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
    /// Completes when the client sends a cancel request after this call.
    pub fn cancelled(&self) -> Notified<'_> {
        self.asked.notified()
    }

    /// Whether a cancel request of the client is on its way to PostgreSQL.
    pub fn is_in_flight(&self) -> bool {
        lock(&self.state).in_flight
    }

    /// Cancels the statement that the client runs, or its wait. Without either, it does nothing.
    ///
    /// One request at a time is on its way to PostgreSQL. Requests that arrive meanwhile wait for its end, because the
    /// client may run another statement by then, and are answered together by the next one.
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
                    let Some(target) = self.target() else { return };
                    if let Err(error) = send_cancel(&target, pid, &key).await {
                        tracing::warn!(database = %target, %error, "failed to forward a cancel request");
                    }
                }
            }
        }
    }

    /// The location of the server that the client uses, or used last.
    pub fn target(&self) -> Option<Arc<Target>> {
        lock(&self.state).servers.as_ref().map(Servers::target)
    }

    /// The next step for the request with that number.
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

/// The next step for a request.
enum Next<'a> {
    /// It is done, or there is nothing to cancel.
    Done,
    /// Another request is on its way, or it would reach a statement of the proxy.
    Wait,
    /// It is sent to this server.
    Send(InFlight<'a>, (i32, Bytes)),
}

impl CancelEntry {
    /// The key for the client.
    pub fn slot(&self) -> &Arc<CancelSlot> {
        &self.slot
    }

    /// The client uses this server of these pools from now on: its cancel requests go there.
    pub fn attach(&self, pid: i32, key: &Bytes, servers: &Servers) {
        let mut state = lock(&self.slot.state);
        if !state.servers.as_ref().is_some_and(|known| known.are(servers)) {
            state.servers = Some(servers.clone());
        }
        state.server = Some((pid, key.clone()));
    }

    #[cfg(test)]
    fn attach_nowhere(&self, pid: i32) {
        lock(&self.slot.state).server = Some((pid, Bytes::from_static(b"1234")));
    }

    /// The client uses no server from now on. `true`: a cancel for its server is still on its way, so
    /// [`CancelEntry::settled`] must be awaited before another client gets the server.
    pub fn detach(&self) -> bool {
        let mut state = lock(&self.slot.state);
        if !fault(Fault::CancelAfterDetach) {
            state.server = None;
        }
        let (let_go, in_flight) = (std::mem::take(&mut state.held), state.in_flight);
        drop(state);
        if let_go && !fault(Fault::CancelHeldForever) {
            self.slot.idle.notify_waiters();
        }
        in_flight
    }

    /// Delays cancel requests while PostgreSQL runs a statement of the proxy. If that statement were cancelled,
    /// messages behind it in the same write would run without its effect, without the settings for example. `true`: a
    /// request is on its way already.
    pub fn hold(&self, held: bool) -> bool {
        let held = held && !fault(Fault::CancelOfOwnStatement);
        let mut state = lock(&self.slot.state);
        let let_go = state.held && !held;
        state.held = held;
        let in_flight = state.in_flight;
        drop(state);
        if let_go && !fault(Fault::CancelHeldForever) {
            self.slot.idle.notify_waiters();
        }
        in_flight
    }

    /// Returns when no cancel request is on its way.
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

/// All changes under the lock are complete, so a poisoned lock is still valid.
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
        entry.attach_nowhere(7);
        let slot = entry.slot();
        lock(&slot.state).asked = 1;
        let first = slot.next(1);
        assert!(matches!(first, Next::Send(..)) && matches!(slot.next(1), Next::Wait));
        lock(&slot.state).asked = 3;
        assert!(matches!(slot.next(2), Next::Wait) && entry.detach());
        entry.attach_nowhere(8);
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
        entry.attach_nowhere(7);
        let slot = Arc::clone(entry.slot());
        lock(&slot.state).asked = 1;
        assert!(!entry.hold(true));
        assert!(matches!(slot.next(1), Next::Wait));
        entry.hold(false);
        let sent = slot.next(1);
        assert!(matches!(sent, Next::Send(_, (7, _))) && entry.hold(true), "it is on its way already");
        drop(sent);
        lock(&slot.state).asked = 2;
        assert!(!entry.hold(true));
        drop(entry);
        assert!(matches!(slot.next(2), Next::Done), "the client has left");
    }

    #[tokio::test]
    async fn cancel_of_an_idle_client_reaches_nobody() {
        let cancels = Arc::new(Cancels::default());
        let entry = cancels.register(0);
        entry.attach_nowhere(7);
        assert!(!entry.detach());
        entry.settled().await;
    }
}
