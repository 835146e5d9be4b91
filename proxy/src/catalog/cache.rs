//! What the schemas on a tenant's path hold, kept for a while and loaded in the background.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::sync::{Notify, mpsc};

use super::control::{CatalogError, Control};
use super::epochs::Epochs;
use super::load;
use crate::sql::scope::{Builtins, CommonFunctions, Names, SchemaNames};

/// What all schemas may weigh together, in bytes.
const WEIGHT: u64 = 256 << 20;

/// Schemas at most: each one weighs at least its share.
const SCHEMAS: u64 = 10_000;

/// Loads that may wait. What doesn't fit is asked for again by its next statement.
const QUEUE: usize = 1024;

/// How long a failed load is not tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// What is known of the schemas of one database. Never waits for it.
pub struct Catalog {
    loaded: Cache<Arc<str>, Entry, Weight>,
    loading: Mutex<HashSet<Arc<str>>>,
    requests: mpsc::Sender<Arc<str>>,
    shared: Vec<String>,
    epochs: Epochs,
    age: Duration,
    /// Loads that have ended, and who waits for one to.
    arrivals: AtomicU64,
    arrival: Notify,
    /// Not forgotten by DDL: no tenant changes them.
    functions: ArcSwapOption<CommonFunctions>,
}

/// What is known of a schema.
pub struct Known {
    /// What its path holds; `None` while it is being loaded.
    pub names: Option<Arc<Names>>,
    /// As long as [`Catalog::news`] says this, and until then, the catalog has no other answer.
    pub news: u64,
    /// See [`Known::news`].
    pub until: Instant,
}

/// One schema, or the failure to load it.
#[derive(Clone)]
struct Entry {
    names: Option<Arc<Names>>,
    /// A failed load may go better at the next attempt.
    is_passing: bool,
    epoch: u64,
    /// From here on a new load is worth it, while this one is still good.
    refresh: Instant,
    until: Instant,
}

/// Weighs what only this schema needs; shared schemas are held once.
#[derive(Clone)]
struct Weight;

impl Weighter<Arc<str>, Entry> for Weight {
    fn weight(&self, _: &Arc<str>, entry: &Entry) -> u64 {
        let names = entry.names.as_ref().map_or(0, |names| weight(&names.tenant));
        names.max(WEIGHT / SCHEMAS)
    }
}

/// About: a name is short, and its place in a table about as large again.
fn weight(names: &SchemaNames) -> u64 {
    let count = names.relations.len() + names.functions.len() + names.types.len() + names.outward.len();
    96 * count as u64
}

impl Catalog {
    /// What the schemas of `control`'s database hold, believed for `age`.
    ///
    /// The [`Loader`] has to be run; it may run on another runtime.
    pub fn new(control: Control, shared: &[String], age: Duration) -> (Arc<Self>, Loader) {
        let (requests, queue) = mpsc::channel(QUEUE);
        let catalog = Arc::new(Self {
            loaded: Cache::with_weighter(1024, WEIGHT, Weight),
            loading: Mutex::default(),
            requests,
            shared: shared.to_vec(),
            epochs: Epochs::new(),
            age,
            arrivals: AtomicU64::new(0),
            arrival: Notify::new(),
            functions: ArcSwapOption::empty(),
        });
        let loader = Loader { catalog: Arc::downgrade(&catalog), control, queue, common: None };
        (catalog, loader)
    }

    /// The functions that every tenant can call, as they were when they were last loaded.
    pub fn functions(&self) -> Option<Arc<CommonFunctions>> {
        self.functions.load_full()
    }

    /// What the path of `schema` holds, if that is known and not too old.
    ///
    /// If not, it is being loaded when this returns.
    pub fn get(&self, schema: &str) -> Option<Arc<Names>> {
        self.look(schema, Instant::now()).names
    }

    /// The same, with how long that will be so.
    pub fn look(&self, schema: &str, now: Instant) -> Known {
        // Before the look: what comes during it is news.
        let news = self.news();
        let entry = self.loaded.get(schema);
        let entry = entry.filter(|e| e.epoch == self.epoch(schema) && e.until > now);
        if entry.as_ref().is_none_or(|entry| entry.refresh <= now) {
            self.request(schema);
        }
        let until = entry.as_ref().map_or(now, |entry| entry.refresh);
        Known { names: entry.and_then(|entry| entry.names), news, until }
    }

    /// Changes when something was loaded or invalidated, whatever schema it was of.
    pub fn news(&self) -> u64 {
        // Both only grow, so their sum changes when one of them does.
        self.arrivals.load(Ordering::Acquire) + self.epochs.changes()
    }

    /// Waits until [`Catalog::get`] has an answer, over failures that pass. `false`: the load has failed in a way that
    /// the next attempt would, too.
    pub async fn loaded(&self, schema: &str) -> bool {
        loop {
            let arrival = self.arrival.notified();
            if self.get(schema).is_some() {
                return true;
            }
            let failure = self.loaded.get(schema);
            match failure.filter(|entry| entry.epoch == self.epoch(schema) && entry.until > Instant::now()) {
                Some(failure) if !failure.is_passing => return false,
                // Behind the pause the schema is asked for again.
                Some(failure) => {
                    let _ = tokio::time::timeout_at(failure.until.into(), arrival).await;
                }
                None => arrival.await,
            }
        }
    }

    /// Forgets what `schema` holds; with one that every path has, all that is known.
    pub fn invalidate(&self, schema: &str) {
        match schema == "pg_catalog" || self.shared.iter().any(|shared| shared == schema) {
            true => self.epochs.bump_all(),
            false => self.epochs.bump(schema),
        }
    }

    /// Forgets all that is known.
    pub fn invalidate_all(&self) {
        self.epochs.bump_all();
    }

    /// Changes when the schema, or a shared one, was invalidated.
    pub fn epoch(&self, schema: &str) -> u64 {
        self.epochs.of(schema)
    }

    fn request(&self, schema: &str) {
        let mut loading = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        if loading.contains(schema) {
            return;
        }
        let schema: Arc<str> = schema.into();
        if self.requests.try_send(Arc::clone(&schema)).is_ok() {
            loading.insert(schema);
        }
    }

    /// Puts in what a load gave that was begun at `epoch`. [`Catalog::get`]
    /// leaves it alone if the schema was invalidated since.
    fn put(&self, schema: Arc<str>, epoch: u64, loaded: Result<Arc<Names>, CatalogError>) {
        let now = Instant::now();
        let is_passing = loaded.as_ref().is_err_and(CatalogError::is_passing);
        let names = loaded.ok();
        // What all paths share may be a quarter of the age old already.
        let (refresh, until) = match names {
            Some(_) => (now + self.age / 2, now + self.age / 4 * 3),
            // A failure isn't refreshed early: that would be no pause.
            None => (now + self.age.min(PAUSE), now + self.age.min(PAUSE)),
        };
        self.loaded.insert(Arc::clone(&schema), Entry { names, is_passing, epoch, refresh, until });
        self.arrivals.fetch_add(1, Ordering::AcqRel);
        self.loading.lock().unwrap_or_else(PoisonError::into_inner).remove(&schema);
        self.arrival.notify_waiters();
    }
}

/// Loads what a [`Catalog`] misses, one schema after the other: a second
/// connection stays free for the names of tenants.
pub struct Loader {
    catalog: std::sync::Weak<Catalog>,
    control: Control,
    queue: mpsc::Receiver<Arc<str>>,
    common: Option<Common>,
}

/// What all paths have.
struct Common {
    shared: Vec<Arc<SchemaNames>>,
    builtin: Arc<Builtins>,
    epoch: u64,
    until: Instant,
}

impl Loader {
    /// Loads until the catalog is dropped.
    pub async fn run(mut self) {
        while let Some(schema) = self.queue.recv().await {
            let Some(catalog) = self.catalog.upgrade() else {
                return;
            };
            // Before the load: an invalidation that comes during it must count.
            let epoch = catalog.epoch(&schema);
            let loaded = self.load(&catalog, &schema).await.map(Arc::new);
            if let Err(error) = &loaded {
                tracing::warn!(database = self.control.name(), %error, "catalog load failed; routing by search_path");
            }
            catalog.put(schema, epoch, loaded);
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
        Ok(Names { tenant, shared, builtin })
    }
}

impl Common {
    async fn load(control: &Control, catalog: &Catalog, epoch: u64) -> Result<Self, CatalogError> {
        let builtin = Arc::new(load::builtins(control).await?);
        let mut shared = Vec::with_capacity(catalog.shared.len());
        for schema in &catalog.shared {
            shared.push(Arc::new(load::schema(control, schema).await?));
        }
        let functions = CommonFunctions { builtin: Arc::clone(&builtin), shared: shared.clone() };
        catalog.functions.store(Some(Arc::new(functions)));
        // A short time, so that with a tenant's own nothing is ever older than `age`.
        Ok(Self { shared, builtin, epoch, until: Instant::now() + catalog.age / 4 })
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    fn catalog(queue: &mut Option<Loader>) -> Arc<Catalog> {
        let text = "[databases.app]\nhost = \"/nowhere\"\nuser = \"app\"";
        let config = Config::parse(text, Path::new("test.toml")).unwrap();
        let control = Control::new("app", &config.databases["app"], None).unwrap();
        let (catalog, loader) = Catalog::new(control, &["public".into()], Duration::from_secs(60));
        *queue = Some(loader);
        catalog
    }

    fn names() -> Result<Arc<Names>, CatalogError> {
        Ok(Arc::new(Names { tenant: Arc::default(), shared: Vec::new(), builtin: Arc::default() }))
    }

    #[test]
    fn load_from_before_an_invalidation_is_not_used() {
        let mut loader = None;
        let catalog = catalog(&mut loader);
        for invalidated in ["a", "public"] {
            let before = catalog.epoch("a");
            catalog.invalidate(invalidated);
            catalog.put("a".into(), before, names());
            assert!(catalog.get("a").is_none(), "{invalidated}");
            catalog.put("a".into(), catalog.epoch("a"), names());
            assert!(catalog.get("a").is_some(), "{invalidated}");
        }
    }

    #[test]
    fn one_load_at_a_time_is_asked_for() {
        let mut loader = None;
        let catalog = catalog(&mut loader);
        let queue = &mut loader.as_mut().unwrap().queue;
        assert!(catalog.get("a").is_none() && catalog.get("a").is_none());
        assert!(queue.try_recv().is_ok() && queue.try_recv().is_err());
        // A failed load is not tried again at once.
        catalog.put("a".into(), catalog.epoch("a"), Err(CatalogError::Ended));
        assert!(catalog.get("a").is_none() && queue.try_recv().is_err());
    }

    #[tokio::test]
    async fn failure_that_passes_is_waited_over() {
        let mut loader = None;
        let catalog = catalog(&mut loader);
        let queue = &mut loader.as_mut().unwrap().queue;
        catalog.put("a".into(), catalog.epoch("a"), Err(CatalogError::Ended));
        assert!(!catalog.loaded("a").await);
        catalog.put("a".into(), catalog.epoch("a"), Err(CatalogError::Late("app".into(), "names")));
        let waiting = tokio::spawn({
            let catalog = Arc::clone(&catalog);
            async move { catalog.loaded("a").await }
        });
        // It asks once more, and has what comes then.
        assert_eq!(queue.recv().await.as_deref(), Some("a"));
        catalog.put("a".into(), catalog.epoch("a"), names());
        assert!(waiting.await.unwrap());
    }
}
