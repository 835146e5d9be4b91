//! The servers of one database: who is there, and which of them are to be replaced.
//!
//! Read by whoever wants to know what goes on; a server's entry goes with the server.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::time::Instant;

use super::origin::Origin;
use crate::stream::{Ends, ServerStream};

/// The servers of a database, in whichever of its pools they are.
pub struct Roster {
    origin: Origin,
    /// Those that were born before this counted up are replaced when they come back.
    generation: AtomicU64,
    connecting: AtomicUsize,
    servers: Mutex<BTreeMap<u64, Arc<ServerSlot>>>,
}

/// The number of the next server of this process. 0 stands for none.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// One server.
#[derive(Debug)]
pub struct ServerSlot {
    /// Its number; never used again.
    pub id: u64,
    /// Its process.
    pub pid: i32,
    /// As whom it has logged in.
    pub role: Box<str>,
    /// Where it is, and where we are, for it.
    pub ends: Ends,
    generation: u64,
    born: u64,
    /// When a client last got it.
    requested: AtomicU64,
    prepared: AtomicU32,
}

/// A server's place on the roster, until this is dropped.
pub struct ServerEntry {
    slot: Arc<ServerSlot>,
    roster: Arc<Roster>,
}

/// A server that is being made, for as long as that takes.
pub struct Connecting<'a>(&'a Roster);

impl Roster {
    /// Nobody is there.
    pub fn new(origin: Origin) -> Arc<Self> {
        let (generation, connecting) = (AtomicU64::new(0), AtomicUsize::new(0));
        Arc::new(Self { origin, generation, connecting, servers: Mutex::default() })
    }

    /// A server is being made: the current generation, which it will belong to, and what counts it until it is there.
    pub fn connect(&self) -> (u64, Connecting<'_>) {
        self.connecting.fetch_add(1, Ordering::Relaxed);
        (self.generation(), Connecting(self))
    }

    /// A server of that generation has logged in.
    pub fn enter(
        self: &Arc<Self>,
        stream: &ServerStream,
        pid: i32,
        role: &str,
        generation: u64,
    ) -> ServerEntry {
        let now = self.origin.micros(Instant::now());
        let slot = Arc::new(ServerSlot {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            pid,
            role: role.into(),
            ends: stream.ends(),
            generation,
            born: now,
            requested: AtomicU64::new(now),
            prepared: AtomicU32::new(0),
        });
        self.lock().insert(slot.id, Arc::clone(&slot));
        ServerEntry { slot, roster: Arc::clone(self) }
    }

    /// All servers are to be replaced when they come back; gives the generation of those that come from now on.
    pub fn renew(&self) -> u64 {
        self.generation.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// The generation of servers that are made now.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether a server is there that was born before that generation.
    pub fn has_older(&self, generation: u64) -> bool {
        self.lock().values().any(|server| server.generation < generation)
    }

    /// Whether a server is to be replaced.
    pub fn is_outdated(&self, server: &ServerSlot) -> bool {
        server.generation != self.generation()
    }

    /// All that are there now.
    pub fn all(&self) -> Vec<Arc<ServerSlot>> {
        self.lock().values().cloned().collect()
    }

    /// How many are there.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many are being made.
    pub fn connecting(&self) -> usize {
        self.connecting.load(Ordering::Relaxed)
    }

    /// When a server was connected.
    pub fn born_at(&self, server: &ServerSlot) -> SystemTime {
        self.origin.time(server.born)
    }

    /// When a client last got a server.
    pub fn requested_at(&self, server: &ServerSlot) -> SystemTime {
        self.origin.time(server.requested.load(Ordering::Relaxed))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<ServerSlot>>> {
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ServerSlot {
    /// How many statements are prepared on it.
    pub fn prepared(&self) -> u32 {
        self.prepared.load(Ordering::Relaxed)
    }
}

impl ServerEntry {
    /// Its number.
    pub fn id(&self) -> u64 {
        self.slot.id
    }

    /// A client has got it.
    #[inline]
    pub fn used(&self, now: Instant) {
        self.slot.requested.store(self.roster.origin.micros(now), Ordering::Relaxed);
    }

    /// So many statements are prepared on it.
    #[inline]
    pub fn set_prepared(&self, statements: usize) {
        self.slot.prepared.store(u32::try_from(statements).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// Whether it may be used again: it is not to be replaced.
    #[inline]
    pub fn is_current(&self) -> bool {
        self.slot.generation == self.roster.generation()
    }
}

impl std::fmt::Debug for ServerEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.slot.fmt(f)
    }
}

impl Drop for ServerEntry {
    fn drop(&mut self) {
        self.roster.lock().remove(&self.slot.id);
    }
}

impl Drop for Connecting<'_> {
    fn drop(&mut self) {
        self.0.connecting.fetch_sub(1, Ordering::Relaxed);
    }
}
