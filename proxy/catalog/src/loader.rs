//! Loads what a [`Catalog`] misses, in the background.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::cache::{Catalog, Request, Urgency};
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

/// Loads what a [`Catalog`] misses, one schema after the other: a second connection stays free for the names of
/// tenants.
pub struct Loader {
    catalog: Weak<Catalog>,
    control: Control,
    pub(super) queue: mpsc::Receiver<Request>,
    metrics: Arc<Metrics>,
    common: Option<Common>,
    /// Schemas whose tenants run DDL.
    settling: JoinSet<()>,
}

/// What all paths have.
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
        let (catalog, settling) = (Arc::downgrade(catalog), JoinSet::new());
        Self { catalog, control, queue, metrics, common: None, settling }
    }

    /// Loads until the catalog is dropped.
    pub async fn run(mut self) {
        while let Some(Request { schema, urgency }) = self.queue.recv().await {
            while self.settling.try_join_next().is_some() {}
            let Some(catalog) = self.catalog.upgrade() else {
                return;
            };
            if urgency == Urgency::Settled {
                self.settling.spawn(settle(self.catalog.clone(), schema));
                continue;
            }
            // Before the load: an invalidation that comes during it must count.
            let (stamp, begun) = (catalog.stamp(&schema), Instant::now());
            self.metrics.catalog_load();
            let loaded = self.load(&catalog, &schema).await.map(Arc::new);
            if let Err(error) = &loaded {
                tracing::warn!(database = self.control.name(), %error, "catalog load failed; routing by search_path");
            }
            catalog.put(schema, stamp, begun.elapsed(), loaded);
        }
    }

    async fn load(&mut self, catalog: &Catalog, schema: &str) -> Result<Names, CatalogError> {
        let epoch = catalog.epochs.all();
        let good = |common: &Common| common.epoch == epoch && common.until > Instant::now();
        if !self.common.as_ref().is_some_and(good) {
            self.common = None;
        }
        let common = match &mut self.common {
            Some(common) => common,
            empty => empty.insert(Common::load(&self.control, catalog, epoch).await?),
        };
        let (shared, builtin) = (common.shared.clone(), Arc::clone(&common.builtin));
        // A client with no tenant: its schema may be one of the shared ones.
        let known = catalog.shared.iter().zip(&shared).find(|(name, _)| *name == schema);
        let tenant = match known {
            Some((_, names)) => Arc::clone(names),
            None => Arc::new(load::schema(&self.control, schema).await?),
        };
        Ok(Names { tenant, shared, builtin, currency: Currency::Current })
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
