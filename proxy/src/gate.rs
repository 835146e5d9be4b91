//! What an operator has decided for a database: whether it takes clients, and whether its servers are lent.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::pool::roster::Roster;
use crate::pool::servers::Servers;
use crate::pool::tenants::TenantServers;

/// A database's gate. It begins open.
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
    /// How often it was paused. Whoever takes a pause back that another has renewed takes nothing back.
    number: u64,
}

/// A pause that is taken back when this is dropped, unless it is [kept](Paused::keep).
pub struct Paused {
    gate: Arc<Gate>,
    number: u64,
    kept: bool,
}

impl Gate {
    /// The gate of a database whose servers are in these pools, and on that roster.
    pub fn new(servers: Servers, tenants: Arc<TenantServers>, roster: Arc<Roster>) -> Arc<Self> {
        let (disabled, pause) = (AtomicBool::new(false), Mutex::default());
        Arc::new(Self { servers, tenants, roster, disabled, pause })
    }

    /// Lends no server from now on. Idle ones are closed, others when they come back; requests wait.
    pub fn pause(self: &Arc<Self>) -> Paused {
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        pause.paused = true;
        pause.number += 1;
        self.servers.pause();
        self.tenants.pause();
        Paused { gate: Arc::clone(self), number: pause.number, kept: false }
    }

    /// Lends servers again. `false`: it was not paused.
    pub fn resume(&self) -> bool {
        self.resume_if(|_| true)
    }

    /// Does what was decided for `before`, a database in whose place this one comes.
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

    /// Whether servers are lent.
    pub fn is_paused(&self) -> bool {
        self.pause.lock().unwrap_or_else(PoisonError::into_inner).paused
    }

    /// Whether a server is there, or being made.
    pub fn has_servers(&self) -> bool {
        let pools = self.tenants.all();
        std::iter::once(&self.servers).chain(&pools).any(|pool| pool.status().size > 0)
    }

    /// All servers are replaced: idle ones at once, others when they come back. Gives the generation of those that
    /// come now.
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

    /// Refuses new clients from now on, or lets them in again.
    pub fn set_disabled(&self, disabled: bool) {
        self.disabled.store(disabled, Ordering::Relaxed);
    }
}

impl Paused {
    /// It lasts until somebody ends it.
    pub fn keep(mut self) {
        self.kept = true;
    }

    /// Whether nobody has ended it.
    pub fn lasts(&self) -> bool {
        let pause = self.gate.pause.lock().unwrap_or_else(PoisonError::into_inner);
        pause.paused && pause.number >= self.number
    }

    /// What is paused.
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
