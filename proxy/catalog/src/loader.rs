//! Loads what a [`Catalog`] misses, in the background.

use std::collections::HashMap;
use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_postgres::error::SqlState;

use super::cache::{Catalog, Request, Stamp, Urgency};
use super::control::{CatalogError, Control};
use super::load;
use crate::metrics::Metrics;
use crate::sql::scope::{Builtins, CommonFunctions, Currency, Names, SchemaNames};

/// How long a schema's tenant must run no DDL before the schema is loaded.
const QUIET: Duration = Duration::from_millis(200);

/// How long the load is put off at most, while DDL goes on.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long a schema is not loaded behind DDL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pause {
    /// No DDL has come for so long.
    quiet: Duration,
    /// So long at most.
    most: Duration,
}

impl Pause {
    /// For a schema whose last load took `cost`: loads take a small share of the time, however large it is.
    pub(super) fn of(cost: Duration) -> Self {
        Self { quiet: QUIET.max(cost * 4), most: PATIENCE.max(cost * 20) }
    }
}

/// How long PostgreSQL may take for a schema in front of which others wait. One that takes longer is loaded beside them.
const FAST: Duration = Duration::from_secs(1);

/// Schemas that are known to take long. One above is tried again in front of others.
const SLOW_SCHEMAS: usize = 1_024;

/// Loads what a [`Catalog`] misses, one schema after the other. Those that take long have a line and a connection of
/// their own, and pauses between their loads: no tenant's schema makes others wait for more than [`FAST`], once. A
/// further connection stays free for the names of tenants.
pub struct Loader {
    catalog: Weak<Catalog>,
    lane: Lane,
    pub(super) queue: mpsc::Receiver<Request>,
    /// Schemas whose tenants run DDL, and schemas that take long until their next load.
    settling: JoinSet<()>,
    slow: Slow,
}

/// What loads schemas.
#[derive(Clone)]
struct Lane {
    control: Control,
    metrics: Arc<Metrics>,
    common: Arc<Mutex<Option<Common>>>,
}

/// Schemas that take long.
struct Slow {
    queue: mpsc::Sender<Arc<str>>,
    /// When each of them may be loaded again.
    known: Arc<StdMutex<HashMap<Arc<str>, Instant>>>,
}

/// What all paths have.
#[derive(Clone)]
struct Common {
    shared: Vec<Arc<SchemaNames>>,
    builtin: Arc<Builtins>,
    epoch: u64,
    until: Instant,
}

impl Loader {
    pub(super) fn new(
        catalog: &Arc<Catalog>,
        control: Control,
        queue: mpsc::Receiver<Request>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let lane = Lane { control, metrics, common: Arc::default() };
        let slow = Slow { queue: mpsc::channel(1).0, known: Arc::default() };
        Self { catalog: Arc::downgrade(catalog), lane, queue, settling: JoinSet::new(), slow }
    }

    /// Loads until the catalog is dropped.
    pub async fn run(mut self) {
        let (queue, waiting) = mpsc::channel(SLOW_SCHEMAS);
        self.slow.queue = queue;
        let beside =
            load_slow(self.catalog.clone(), self.lane.clone(), waiting, Arc::clone(&self.slow.known));
        let mut beside = JoinSet::from_iter([beside]);
        while let Some(Request { schema, urgency }) = self.queue.recv().await {
            while self.settling.try_join_next().is_some() {}
            let Some(catalog) = self.catalog.upgrade() else {
                return beside.abort_all();
            };
            if urgency == Urgency::Settled {
                self.settling.spawn(settle(self.catalog.clone(), schema));
                continue;
            }
            if let Some(due) = self.slow.due(&schema) {
                self.slow.put_off(schema, due, &mut self.settling);
                continue;
            }
            // Before the load: an invalidation that comes during it must count.
            let (stamp, begun) = (catalog.stamp(&schema), Instant::now());
            let loaded = self.lane.load(&catalog, &schema, Some(FAST)).await;
            if loaded.as_ref().is_err_and(|error| error.code() == Some(&SqlState::QUERY_CANCELED)) {
                self.slow.note(&schema);
                self.slow.put_off(schema, Instant::now(), &mut self.settling);
                continue;
            }
            self.lane.put(&catalog, schema, stamp, begun, loaded);
        }
    }
}

/// Loads schemas that take long, one after the other. `known` says when each may be loaded again: they take a small
/// share of the time.
async fn load_slow(
    catalog: Weak<Catalog>,
    lane: Lane,
    mut waiting: mpsc::Receiver<Arc<str>>,
    known: Arc<StdMutex<HashMap<Arc<str>, Instant>>>,
) {
    while let Some(schema) = waiting.recv().await {
        let Some(catalog) = catalog.upgrade() else { return };
        let (stamp, begun) = (catalog.stamp(&schema), Instant::now());
        let loaded = lane.load(&catalog, &schema, None).await;
        let cost = begun.elapsed();
        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.is_ok() && cost < FAST / 2 {
            known.remove(&schema);
        } else if let Some(due) = known.get_mut(&schema) {
            *due = Instant::now() + cost * 4;
        }
        drop(known);
        lane.put(&catalog, schema, stamp, begun, loaded);
    }
}

impl Slow {
    /// When a schema that takes long may be loaded; `None`: it is not known to take long.
    fn due(&self, schema: &str) -> Option<Instant> {
        self.lock().get(schema).copied()
    }

    /// The schema takes long.
    fn note(&self, schema: &Arc<str>) {
        let mut known = self.lock();
        if known.len() < SLOW_SCHEMAS {
            known.insert(Arc::clone(schema), Instant::now());
        } else {
            // What is due for longest is the least in demand.
            let oldest = known.iter().min_by_key(|(_, due)| **due).map(|(schema, _)| Arc::clone(schema));
            oldest.map(|oldest| known.remove(&oldest));
            known.insert(Arc::clone(schema), Instant::now());
        }
    }

    /// Has the schema loaded beside the others, when it is due.
    fn put_off(&self, schema: Arc<str>, due: Instant, settling: &mut JoinSet<()>) {
        let queue = self.queue.clone();
        settling.spawn(async move {
            tokio::time::sleep_until(due).await;
            // Fails where nobody loads any more.
            let _ = queue.send(schema).await;
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Instant>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lane {
    /// PostgreSQL gives up after `limit`, if there is one.
    async fn load(
        &self,
        catalog: &Catalog,
        schema: &str,
        limit: Option<Duration>,
    ) -> Result<Names, CatalogError> {
        self.metrics.catalog_load();
        let Common { shared, builtin, .. } = self.common(catalog).await?;
        // A client with no tenant: its schema may be one of the shared ones.
        let known = catalog.shared.iter().zip(&shared).find(|(name, _)| *name == schema);
        let tenant = match known {
            Some((_, names)) => Arc::clone(names),
            None => Arc::new(load::schema_within(&self.control, schema, limit).await?),
        };
        Ok(Names { tenant, shared, builtin, currency: Currency::Current })
    }

    async fn common(&self, catalog: &Catalog) -> Result<Common, CatalogError> {
        let mut common = self.common.lock().await;
        let epoch = catalog.epochs.all();
        if let Some(good) = common.as_ref().filter(|one| one.epoch == epoch && one.until > Instant::now()) {
            return Ok(good.clone());
        }
        *common = None;
        Ok(common.insert(Common::load(&self.control, catalog, epoch).await?).clone())
    }

    /// Puts in what a load gave.
    fn put(
        &self,
        catalog: &Catalog,
        schema: Arc<str>,
        stamp: Stamp,
        begun: Instant,
        loaded: Result<Names, CatalogError>,
    ) {
        if let Err(error) = &loaded {
            tracing::warn!(database = self.control.name(), %error, "catalog load failed; routing by search_path");
        }
        catalog.put(schema, stamp, begun.elapsed(), loaded.map(Arc::new));
    }
}

/// Waits until no more DDL of the tenant's comes, a bounded time, and has its schema loaded.
async fn settle(catalog: Weak<Catalog>, schema: Arc<str>) {
    let begun = Instant::now();
    loop {
        let Some((before, pause)) = catalog.upgrade().map(|now| (now.stamp(&schema), now.pause(&schema)))
        else {
            return;
        };
        tokio::time::sleep(pause.quiet).await;
        let Some(catalog) = catalog.upgrade() else { return };
        if catalog.stamp(&schema) == before || begun.elapsed() >= pause.most {
            return catalog.settled(&schema);
        }
    }
}

impl Common {
    async fn load(control: &Control, catalog: &Catalog, epoch: u64) -> Result<Self, CatalogError> {
        let builtin = Arc::new(load::builtins(control).await?);
        let mut shared = Vec::with_capacity(catalog.shared.len());
        for schema in &catalog.shared {
            shared.push(Arc::new(load::schema(control, schema).await?));
        }
        catalog.put_common(CommonFunctions { builtin: Arc::clone(&builtin), shared: shared.clone() });
        // A short time, so that with a tenant's own nothing is ever older than `age`.
        Ok(Self { shared, builtin, epoch, until: Instant::now() + catalog.age.get() / 4 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_take_a_small_share_of_the_time() {
        let pause = Pause::of(Duration::ZERO);
        assert_eq!((pause.quiet, pause.most), (QUIET, PATIENCE));
        let pause = Pause::of(Duration::from_secs(1));
        assert_eq!((pause.quiet, pause.most), (Duration::from_secs(4), Duration::from_secs(20)));
    }
}
