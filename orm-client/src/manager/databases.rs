//! The connections to tenants' databases, where each has one of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use lru::LruCache;
use pgstrata_tenancy::TenantId;

use super::{EntityManager, Shared, Tenant};
use crate::lease::Pool;
use crate::strategy::DatabaseStrategy;
use crate::{Error, Options};

/// Pools by tenant, the one that was used last first.
pub(super) struct Databases {
    pools: Mutex<LruCache<TenantId, Used>>,
    /// As long as it is there, a thread looks for what is idle.
    sweeper: OnceLock<Sender<()>>,
    closed: AtomicBool,
}

struct Used {
    pool: Arc<Pool>,
    last: Instant,
}

impl Used {
    /// Nobody has one of its connections, or is about to.
    fn is_idle(&self) -> bool {
        let (open, idle) = self.pool.status();
        Arc::strong_count(&self.pool) == 1 && open == idle
    }
}

impl Default for Databases {
    fn default() -> Self {
        Self {
            pools: Mutex::new(LruCache::unbounded()),
            sweeper: OnceLock::new(),
            closed: AtomicBool::new(false),
        }
    }
}

impl Databases {
    /// The tenant's pool: made, if there is none.
    ///
    /// # Errors
    /// [`Error::NoDatabase`]; [`Error::Options`] where the URL is none of the manager's kind of database, or too many databases are in use.
    pub(super) fn pool(
        &self,
        shared: &Arc<Shared>,
        strategy: &DatabaseStrategy,
        tenant: &TenantId,
    ) -> Result<Arc<Pool>, Error> {
        let (idle, most) = strategy.limits();
        if let Some(pool) = self.known(tenant) {
            return Ok(pool);
        }
        // The application says where the database is: it may take its time, or use the manager, so nothing is locked.
        // A tenant that has none costs no other its pool.
        let pool = Arc::new(super::pool(&options(&shared.options, strategy, tenant)?, shared.guarded)?);
        let mut pools = self.lock();
        if let Some(used) = pools.get_mut(tenant) {
            return Ok(Arc::clone(&used.pool));
        }
        if pools.len() >= most {
            let oldest = pools.iter().rev().find(|(_, used)| used.is_idle()).map(|(name, _)| name.clone());
            let closed = oldest.and_then(|name| pools.pop(&name));
            let Some(closed) = closed else {
                return Err(Error::Options(format!(
                    "connections to {most} databases are in use: see max_databases"
                )));
            };
            closed.pool.close();
        }
        if self.closed.load(Ordering::Acquire) {
            pool.close();
        }
        pools.push(tenant.clone(), Used { pool: Arc::clone(&pool), last: Instant::now() });
        drop(pools);
        self.sweeper.get_or_init(|| sweeper(Arc::downgrade(shared), idle));
        Ok(pool)
    }

    /// The tenant's pool, if there is one.
    fn known(&self, tenant: &TenantId) -> Option<Arc<Pool>> {
        let mut pools = self.lock();
        let used = pools.get_mut(tenant)?;
        used.last = Instant::now();
        Some(Arc::clone(&used.pool))
    }

    /// Closes what nobody has used for so long.
    fn close_idle(&self, idle: Duration) {
        let mut pools = self.lock();
        let old = pools.iter().filter(|(_, used)| used.is_idle() && used.last.elapsed() >= idle);
        let old: Vec<TenantId> = old.map(|(tenant, _)| tenant.clone()).collect();
        for tenant in old {
            if let Some(used) = pools.pop(&tenant) {
                used.pool.close();
            }
        }
    }

    /// Closes all of them, as [`EntityManager::close`] does.
    pub(super) fn close(&self) {
        let pools = self.lock();
        self.closed.store(true, Ordering::Release);
        for (_, used) in pools.iter() {
            used.pool.close();
        }
    }

    /// How many connections there are, and how many of them are idle.
    pub(super) fn status(&self) -> (usize, usize) {
        let pools = self.lock();
        let statuses = pools.iter().map(|(_, used)| used.pool.status());
        statuses.fold((0, 0), |(open, idle), (more, more_idle)| (open + more, idle + more_idle))
    }

    fn lock(&self) -> MutexGuard<'_, LruCache<TenantId, Used>> {
        self.pools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The manager's options, for a tenant's database.
fn options(options: &Options, strategy: &DatabaseStrategy, tenant: &TenantId) -> Result<Options, Error> {
    let url = strategy.url(tenant.as_str()).ok_or_else(|| Error::NoDatabase(tenant.to_string()))?;
    let own = Options::url(&url)?;
    if own.kind != options.kind {
        return Err(Error::Options(format!(
            "the database of tenant \"{tenant}\" is {}, and the manager's own is {}",
            own.kind, options.kind
        )));
    }
    Ok(Options {
        config: own.config,
        #[cfg(feature = "sqlite")]
        path: own.path,
        ..options.clone()
    })
}

/// Looks for what is idle until the manager is gone, in a thread: each runtime that uses the manager may end before it.
///
/// Without a thread nothing is closed for being idle; the number of databases is bounded all the same.
fn sweeper(shared: Weak<Shared>, idle: Duration) -> Sender<()> {
    let (sender, gone) = channel();
    let thread = std::thread::Builder::new().name("pgstrata-orm-idle".into());
    let _ = thread.spawn(move || sweep(&shared, idle, &gone));
    sender
}

fn sweep(shared: &Weak<Shared>, idle: Duration, gone: &Receiver<()>) {
    let interval = (idle / 2).max(Duration::from_millis(10));
    while gone.recv_timeout(interval) == Err(RecvTimeoutError::Timeout) {
        let Some(shared) = shared.upgrade() else { return };
        shared.databases.close_idle(idle);
    }
}

impl EntityManager {
    /// Makes what is missing in a tenant's database, where each has one of its own: what [`Options::synchronize`] does in the manager's.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// em.synchronize_database("acme").await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::NoDatabase`], and those of [`Options::synchronize`]; [`Error::Options`] where tenants have no databases of their own.
    pub async fn synchronize_database(&self, tenant: impl Into<Tenant>) -> Result<(), Error> {
        if self.strategy().databases().is_none() {
            return Err(Error::Options("tenants have no databases of their own".into()));
        }
        self.synchronize(self.tenant(tenant)).await
    }
}
