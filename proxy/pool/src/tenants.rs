//! The tier `login`: servers that log in as a tenant's role, in a pool for each tenant that is made when it is
//! first needed, and forgotten when it has no server left.
//!
//! All of them together have a bound. Where it is reached, the server that was idle longest gives way,
//! whoever's it is; where none is idle, it is first come, first served.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use pgstrata_control::role_password;
use pgstrata_tenancy::RoleName;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::claim::Claim;
use super::connect::ConnectError;
use super::fair::Status;
use super::servers::{CheckoutError, Kind, Lease, Servers};
use crate::config::{self, Secret};
use crate::metrics::Usage;

/// The servers of all tenants that have their own, in one database.
pub struct TenantServers {
    /// There until nothing is lent any more.
    kind: Mutex<Option<Kind>>,
    /// What the roles' passwords are derived from.
    key: Secret,
    pools: Mutex<Pools>,
    room: Arc<Semaphore>,
    /// How many servers there is room for.
    most: AtomicUsize,
    /// So many wait for room.
    waiting: AtomicUsize,
    this: Weak<Self>,
}

#[derive(Default)]
struct Pools {
    by_role: HashMap<RoleName, Servers>,
    /// Those that are made are paused, too.
    paused: bool,
}

impl TenantServers {
    /// None so far. Of `kind`, but for who logs in and how many there are.
    pub fn new(kind: &Kind, pool: &config::Pool, key: &Secret) -> Arc<Self> {
        Arc::new_cyclic(|this| Self {
            kind: Mutex::new(Some(of_one(kind))),
            key: key.clone(),
            pools: Mutex::default(),
            room: Arc::new(Semaphore::new(pool.max_tenant_servers)),
            most: AtomicUsize::new(pool.max_tenant_servers),
            waiting: AtomicUsize::new(0),
            this: Weak::clone(this),
        })
    }

    /// New servers are of this kind from now on; see [`Servers::change`]. Must be called inside a runtime.
    pub fn change(self: &Arc<Self>, kind: &Kind) {
        let most = kind.settings.max_tenant_servers;
        let own = of_one(kind);
        let pools = self.lock();
        for (role, pool) in &pools.by_role {
            pool.change(self.kind_of(&own, role));
        }
        *self.kind.lock().unwrap_or_else(PoisonError::into_inner) = Some(own);
        drop(pools);
        let before = self.most.swap(most, Ordering::Relaxed);
        self.room.add_permits(most.saturating_sub(before));
        // Each place that goes is waited for as a client waits for one, so that idle servers give way.
        for _ in most..before {
            let this = Arc::clone(self);
            tokio::spawn(async move { this.enter().await.map(OwnedSemaphorePermit::forget) });
        }
    }

    /// No server is lent from now on; those that come back are closed.
    pub fn close(&self) {
        let pools = std::mem::take(&mut self.lock().by_role);
        *self.kind.lock().unwrap_or_else(PoisonError::into_inner) = None;
        pools.values().for_each(Servers::close);
    }

    /// A server that is logged in as `role`; see [`Servers::check_out_within`].
    pub async fn check_out_within(
        &self,
        role: &RoleName,
        claim: &Claim,
        limit: Duration,
    ) -> Result<Lease, CheckoutError> {
        self.pool(role)?.check_out_within(claim, limit).await
    }

    fn pool(&self, role: &RoleName) -> Result<Servers, CheckoutError> {
        let mut pools = self.lock();
        if let Some(pool) = pools.by_role.get(role) {
            return Ok(pool.clone());
        }
        let kind = self.kind.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(kind) = &*kind else { return Err(CheckoutError::Closed) };
        let pool = Servers::new(self.kind_of(kind, role), Some(Weak::clone(&self.this)));
        if pools.paused {
            pool.pause();
        }
        pools.by_role.insert(role.clone(), pool.clone());
        Ok(pool)
    }

    /// The same for servers that log in as `role`.
    fn kind_of(&self, kind: &Kind, role: &RoleName) -> Kind {
        let password = self.key.expose().map(|key| role_password(key.as_bytes(), role.as_str()));
        let target = kind.target.logging_in_as(role.as_str(), password.as_deref());
        Kind { target: Arc::new(target), ..kind.clone() }
    }

    /// Waits until there may be one server more.
    pub(super) async fn enter(&self) -> Result<OwnedSemaphorePermit, ConnectError> {
        let room = Arc::clone(&self.room);
        if let Ok(permit) = Arc::clone(&room).try_acquire_owned() {
            return Ok(permit);
        }
        let _waiting = Waiting::new(&self.waiting);
        self.close_idle();
        room.acquire_owned().await.map_err(|_| ConnectError::Closed)
    }

    /// A server came back to its pool: whoever waits for room may have its place.
    pub(super) fn returned(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.close_idle();
        }
    }

    /// Closes the server that was idle longest, if one is.
    fn close_idle(&self) {
        let pools = self.lock();
        let oldest = pools.by_role.values().filter_map(|pool| Some((pool.idle_for()?, pool)));
        if let Some((_, pool)) = oldest.max_by_key(|(idle, _)| *idle) {
            pool.close_one_idle();
        }
    }

    /// Closes servers that nobody needs, and forgets pools that have none.
    pub async fn tend(&self) {
        for pool in self.all() {
            pool.tend().await;
        }
        let is_used = |status: Status| status.size > 0 || status.waiting > 0;
        self.lock().by_role.retain(|_, pool| is_used(pool.status()));
    }

    /// Looks again who may have what there is: limits have changed.
    pub fn look_again(&self) {
        self.all().iter().for_each(Servers::look_again);
    }

    /// What they do now.
    pub fn usage(&self) -> Usage {
        let mut usage = Usage::default();
        for status in self.lock().by_role.values().map(Servers::status) {
            usage.pools += 1;
            usage.idle += status.idle;
            usage.active += status.size.saturating_sub(status.idle);
            usage.waiting += status.waiting;
        }
        usage
    }

    /// All pools that there are now.
    pub fn all(&self) -> Vec<Servers> {
        self.lock().by_role.values().cloned().collect()
    }

    /// As [`Servers::pause`], for all of them and for those that come.
    pub fn pause(&self) {
        let mut pools = self.lock();
        pools.paused = true;
        pools.by_role.values().for_each(Servers::pause);
    }

    /// As [`Servers::resume`], for all of them.
    pub fn resume(&self) {
        let mut pools = self.lock();
        pools.paused = false;
        pools.by_role.values().for_each(Servers::resume);
    }

    fn lock(&self) -> MutexGuard<'_, Pools> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The servers of one tenant of its own, where those that tenants share are of this kind.
fn of_one(kind: &Kind) -> Kind {
    let mut kind = kind.clone();
    // Where the tenant has a limit of its own, whoever asks brings it along.
    (kind.settings.min_servers, kind.settings.max_servers) = (0, kind.settings.max_servers_per_tenant);
    kind
}

/// One that waits, for as long as it does.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
