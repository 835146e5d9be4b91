//! What is known of one client while it is there.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::time::SystemTime;

use pgstrata_tenancy::RoleName;
use tokio::time::Instant;

use super::Origin;
use super::counts::Counts;
use crate::cancel::CancelSlot;
use crate::config::User;
use crate::net::socket::Peer;
use crate::pool::turns::Tenant;
use crate::shared::cluster::ClusterId;
use crate::sql::form::FormId;
use crate::sql::plan::PinReason;

/// Who a client is. Fixed for its session.
pub struct Who {
    /// Its user.
    pub user: Arc<User>,
    /// The database that it asked for.
    pub database: Box<str>,
    /// Where it comes from.
    pub peer: Peer,
    /// Where it connected to, if the system tells.
    pub local: Option<SocketAddr>,
    /// Version and cipher of its TLS.
    pub tls: Option<Box<str>>,
    /// `application_name` of its start-up packet.
    pub application: Box<str>,
    /// What cancels its request.
    pub cancel: Arc<CancelSlot>,
}

/// What a client does now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// It has no server, and needs none.
    Nothing,
    /// It has one.
    Works,
    /// It has sent a request, and waits for one.
    Waits,
}

/// One client.
pub struct ClientSlot {
    /// Its number; never used again.
    pub id: u64,
    /// Who it is.
    pub who: Who,
    /// What is counted for it.
    pub counts: Counts,
    origin: Origin,
    connected: u64,
    /// When it last got a server.
    requested: AtomicU64,
    /// Since when it waits for a server; 0: it does not.
    waits: AtomicU64,
    /// The number of the server that it has; 0: none.
    server: AtomicU64,
    /// The statement that it runs, or ran last, by its form.
    form: AtomicU64,
    /// Its transaction, as `ReadyForQuery` had it last.
    status: AtomicU8,
    /// One bit for each reason why it keeps its server.
    pins: AtomicU16,
    /// The statements that it has prepared.
    prepared: AtomicU32,
    place: Mutex<Place>,
    ends: AtomicBool,
    leaves: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

/// Whom a client works for.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// Its tenant.
    pub tenant: Tenant,
    /// The role that its servers log in as, in the tier `login`.
    pub login: Option<RoleName>,
    /// The cluster that the tenant lives on; `None`: the one with the registry.
    pub away: Option<ClusterId>,
}

impl ClientSlot {
    pub(super) fn new(id: u64, who: Who, origin: Origin) -> Self {
        let now = origin.micros(Instant::now());
        Self {
            id,
            who,
            counts: Counts::default(),
            origin,
            connected: now,
            requested: AtomicU64::new(now),
            waits: AtomicU64::new(0),
            server: AtomicU64::new(0),
            form: AtomicU64::new(0),
            status: AtomicU8::new(b'I'),
            pins: AtomicU16::new(0),
            prepared: AtomicU32::new(0),
            place: Mutex::default(),
            ends: AtomicBool::new(false),
            leaves: AtomicBool::new(false),
            waker: Mutex::default(),
        }
    }

    // === by the client's session ===

    /// It has got a server with that number.
    #[inline]
    pub fn attach(&self, server: u64, now: Instant) {
        self.server.store(server, Ordering::Relaxed);
        self.requested.store(self.origin.micros(now), Ordering::Relaxed);
        self.counts.add(Counts::ASSIGNMENTS, 1);
    }

    /// It has none any more.
    #[inline]
    pub fn detach(&self) {
        self.server.store(0, Ordering::Relaxed);
    }

    /// It waits for a server since then; `None`: no longer.
    pub fn wait(&self, since: Option<Instant>) {
        self.waits.store(since.map_or(0, |since| self.origin.micros(since)), Ordering::Relaxed);
    }

    /// It runs a statement of this form.
    #[inline]
    pub fn run(&self, form: FormId) {
        self.form.store(form.0, Ordering::Relaxed);
    }

    /// What `ReadyForQuery` says of its transaction.
    #[inline]
    pub fn set_status(&self, status: u8) {
        self.status.store(status, Ordering::Relaxed);
    }

    /// So many statements are prepared.
    pub fn set_prepared(&self, statements: usize) {
        self.prepared.store(u32::try_from(statements).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// Why it keeps its server: one bit for each [`PinReason`].
    pub fn set_pins(&self, bits: u16) {
        self.pins.store(bits, Ordering::Relaxed);
    }

    /// It works for that tenant from now on.
    pub fn set_place(&self, place: Place) {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }

    /// Whom others wake: the session's task. Set before the first look at what they wake it for.
    pub fn wakes(&self, waker: &Waker) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker.clone());
    }

    /// Whether an administrator has ended it.
    #[inline]
    pub fn is_ended(&self) -> bool {
        self.ends.load(Ordering::Acquire)
    }

    /// Whether it is to leave between two transactions, as another process has taken over.
    #[inline]
    pub fn leaves(&self) -> bool {
        self.leaves.load(Ordering::Acquire)
    }

    // === by others ===

    /// Has the client leave between two transactions: another process has taken over.
    pub fn leave(&self) {
        self.leaves.store(true, Ordering::Release);
        self.wake();
    }

    /// Ends the client, whatever it does.
    pub fn end(&self) {
        self.ends.store(true, Ordering::Release);
        self.wake();
    }

    /// Has the session look again at what others may have changed.
    pub fn wake(&self) {
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// What it does now.
    pub fn doing(&self) -> Doing {
        match (self.waits.load(Ordering::Relaxed), self.server.load(Ordering::Relaxed)) {
            (1.., _) => Doing::Waits,
            (0, 1..) => Doing::Works,
            (0, 0) => Doing::Nothing,
        }
    }

    /// The number of its server, if it has one.
    pub fn server(&self) -> Option<u64> {
        Some(self.server.load(Ordering::Relaxed)).filter(|server| *server != 0)
    }

    /// For how many microseconds it has waited for a server; 0: it does not wait.
    pub fn waited(&self) -> u64 {
        match self.waits.load(Ordering::Relaxed) {
            0 => 0,
            since => self.origin.micros(Instant::now()).saturating_sub(since).max(1),
        }
    }

    /// The statement that it runs, or ran last.
    pub fn form(&self) -> FormId {
        FormId(self.form.load(Ordering::Relaxed))
    }

    /// `I`, `T` or `E`: its transaction.
    pub fn status(&self) -> char {
        char::from(self.status.load(Ordering::Relaxed))
    }

    /// Why it keeps its server.
    pub fn pins(&self) -> Vec<PinReason> {
        let bits = self.pins.load(Ordering::Relaxed);
        PinReason::ALL.into_iter().filter(|reason| bits & (1 << *reason as u16) != 0).collect()
    }

    /// How many statements it has prepared.
    pub fn prepared(&self) -> u32 {
        self.prepared.load(Ordering::Relaxed)
    }

    /// When it connected.
    pub fn connected_at(&self) -> SystemTime {
        self.origin.time(self.connected)
    }

    /// When it last began to use a server; when it connected, if it never has.
    pub fn requested_at(&self) -> SystemTime {
        self.origin.time(self.requested.load(Ordering::Relaxed))
    }

    /// Whom it works for.
    pub fn place(&self) -> Place {
        self.place.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
impl Who {
    /// Somebody in that database.
    pub fn of_test(database: &str) -> Self {
        let user = User {
            name: "app".into(),
            password: crate::config::Secret::default(),
            rights: crate::config::Rights::default(),
            admin: false,
            stats: false,
            granted: None,
            system_users: Vec::new(),
            limits: crate::config::LimitTable::default(),
        };
        let cancels = Arc::new(crate::cancel::Cancels::default());
        Self {
            user: Arc::new(user),
            database: database.into(),
            peer: SocketAddr::from(([127, 0, 0, 1], 1)).into(),
            local: None,
            tls: None,
            application: "".into(),
            cancel: Arc::clone(cancels.register(0).slot()),
        }
    }
}
