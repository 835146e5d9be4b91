//! The gate of a database, which an administrator sets: whether it admits clients, and whether clients get servers.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::pool::roster::Roster;
use crate::pool::servers::Servers;
use crate::pool::tenants::TenantServers;

/// The gate of a database. It is active at first.
pub struct Gate {
    servers: Servers,
    tenants: Arc<TenantServers>,
    roster: Arc<Roster>,
    disabled: AtomicBool,
    pause: Mutex<Pause>,
}

#[derive(Default)]
struct Pause {
    paused: bool,
    /// The number of pauses, so that undoing an earlier pause has no effect after a newer one.
    number: u64,
}

/// A pause that is undone when this value is dropped, unless it is [kept](Paused::keep).
pub struct Paused {
    gate: Arc<Gate>,
    number: u64,
    kept: bool,
}

impl Gate {
    /// The gate of a database with these pools and this roster.
    pub fn new(servers: Servers, tenants: Arc<TenantServers>, roster: Arc<Roster>) -> Arc<Self> {
        let (disabled, pause) = (AtomicBool::new(false), Mutex::default());
        Arc::new(Self { servers, tenants, roster, disabled, pause })
    }

    /// Gives no server to clients from now on. Idle servers are closed at once, others when they are returned; requests
    /// wait.
    pub fn pause(self: &Arc<Self>) -> Paused {
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        pause.paused = true;
        pause.number += 1;
        self.servers.pause();
        self.tenants.pause();
        Paused { gate: Arc::clone(self), number: pause.number, kept: false }
    }

    /// Gives servers to clients again. `false`: it was not paused.
    pub fn resume(&self) -> bool {
        self.resume_if(|_| true)
    }

    /// Takes over the state of `before`, a database that this one replaces.
    pub fn succeed(self: &Arc<Self>, before: &Gate) {
        self.set_disabled(before.is_disabled());
        if before.is_paused() {
            self.pause().keep();
        }
    }

    fn resume_if(&self, wanted: impl Fn(u64) -> bool) -> bool {
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        let resumes = pause.paused && wanted(pause.number);
        if resumes {
            pause.paused = false;
            self.servers.resume();
            self.tenants.resume();
        }
        resumes
    }

    /// Whether clients get no servers.
    pub fn is_paused(&self) -> bool {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner).paused
    }

    /// Whether there is a server, or one is being opened.
    pub fn has_servers(&self) -> bool {
        let pools = self.tenants.all();
        std::iter::once(&self.servers).chain(&pools).any(|pool| pool.status().size > 0)
    }

    /// Replaces all servers: idle ones at once, others when they are returned. Returns the generation of new servers.
    pub fn reconnect(&self) -> u64 {
        let generation = self.roster.renew();
        let pools = self.tenants.all();
        std::iter::once(&self.servers).chain(&pools).for_each(Servers::close_idle);
        generation
    }

    /// Whether new clients are refused.
    pub fn is_disabled(&self) -> bool {
        self.disabled.load(Ordering::Relaxed)
    }

    /// Refuses new clients from now on, or admits them again.
    pub fn set_disabled(&self, disabled: bool) {
        self.disabled.store(disabled, Ordering::Relaxed);
    }
}

impl Paused {
    /// Keeps the pause until it is resumed.
    pub fn keep(mut self) {
        self.kept = true;
    }

    /// Whether the pause is still in effect.
    pub fn lasts(&self) -> bool {
        let pause = self.gate.pause.lock().unwrap_or_else(PoisonError::into_inner);
        pause.paused && pause.number >= self.number
    }

    /// The gate that is paused.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        if !self.kept {
            self.gate.resume_if(|number| number == self.number);
        }
    }
}
