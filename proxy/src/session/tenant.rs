//! The tenants of a session.

use std::sync::Arc;

use tokio::time::Instant;

use crate::shared::tenancy::Tenancy;
use crate::sql::scope::Scope;

/// The basis of a session's scope: a tenancy's scope without a catalog, and the version of the catalog.
pub struct Basis {
    /// The scope of the tenancy.
    pub scope: Arc<Scope>,
    /// The catalog is the newest as long as its version is this one, and up to `until`.
    pub news: u64,
    /// See [`Basis::news`].
    pub until: Instant,
    /// What [`Cluster::epoch`](crate::shared::cluster::Cluster::epoch) said when that was looked up, or before.
    pub epoch: u64,
}

impl Basis {
    /// The basis for a tenancy whose catalog has not been requested.
    pub fn of(tenancy: &Tenancy) -> Self {
        Self { scope: Arc::clone(&tenancy.scope), news: 0, until: Instant::now(), epoch: 0 }
    }
}

/// The tenants of one session. They follow PostgreSQL's rules for settings.
pub struct Tenants {
    /// The tenant of the login, to which `RESET tenant` returns.
    login: Arc<Tenancy>,
    /// The tenant to which a rollback returns.
    committed: Arc<Tenancy>,
    /// The tenant behind the open transaction, if that is committed.
    session: Arc<Tenancy>,
    /// The current tenant.
    now: Arc<Tenancy>,
    /// The number of switches.
    changes: u64,
}

impl Tenants {
    /// For the tenant that the client named when it connected.
    pub fn new(login: Arc<Tenancy>) -> Self {
        let same = || Arc::clone(&login);
        Self { committed: same(), session: same(), now: same(), login, changes: 0 }
    }

    /// The current tenant.
    pub fn now(&self) -> &Arc<Tenancy> {
        &self.now
    }

    /// All tenants that may become current without a further command.
    pub fn all(&self) -> [&Arc<Tenancy>; 4] {
        [&self.login, &self.committed, &self.session, &self.now]
    }

    /// The tenant of the login.
    pub fn login(&self) -> &Arc<Tenancy> {
        &self.login
    }

    /// The number of switches so far: what was found out about a tenant holds as long as it stays the same.
    pub fn changes(&self) -> u64 {
        self.changes
    }

    /// The names of the next messages are resolved for another tenant than those before.
    pub fn note_change(&mut self) {
        self.changes += 1;
    }

    /// `SET tenant`, or with `local` `SET LOCAL tenant`.
    pub fn set(&mut self, tenancy: Arc<Tenancy>, local: bool) {
        if !local {
            self.session = Arc::clone(&tenancy);
        }
        self.now = tenancy;
    }

    /// The end of the transaction was sent: the statements behind it are for the tenant that is current then.
    pub fn foresee_end(&mut self, rolls_back: bool) {
        self.now = Arc::clone(if rolls_back { &self.committed } else { &self.session });
    }

    /// Whether the tenant changes with the end of the transaction.
    pub fn ends(&self, rolls_back: bool) -> bool {
        !Arc::ptr_eq(&self.now, if rolls_back { &self.committed } else { &self.session })
    }

    /// Replaces `old` by `new` wherever it is current or may become so.
    pub fn replace(&mut self, old: &Arc<Tenancy>, new: &Arc<Tenancy>) {
        for held in [&mut self.login, &mut self.committed, &mut self.session, &mut self.now] {
            if Arc::ptr_eq(held, old) {
                *held = Arc::clone(new);
            }
        }
    }

    /// Makes `tenancy` current for the moment; returns the previous one.
    pub fn stand_in(&mut self, tenancy: Arc<Tenancy>) -> Arc<Tenancy> {
        std::mem::replace(&mut self.now, tenancy)
    }

    /// The transaction was committed.
    pub fn commit(&mut self) {
        if !Arc::ptr_eq(&self.now, &self.session) || !Arc::ptr_eq(&self.committed, &self.session) {
            self.now = Arc::clone(&self.session);
            self.committed = Arc::clone(&self.session);
        }
    }

    /// The transaction was rolled back.
    pub fn roll_back(&mut self) {
        if !Arc::ptr_eq(&self.now, &self.committed) || !Arc::ptr_eq(&self.committed, &self.session) {
            self.now = Arc::clone(&self.committed);
            self.session = Arc::clone(&self.committed);
        }
    }
}
