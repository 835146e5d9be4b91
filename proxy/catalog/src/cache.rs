//! What the schemas on a tenant's path hold, kept for a while and loaded in the background.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::changes::{Change, Changes, News};
use super::control::{CatalogError, Control};
use super::epochs::Epochs;
use super::lasting::Lasting;
use super::loader::{Loader, Pause};
use crate::metrics::Metrics;
use crate::sql::scope::{CommonFunctions, Currency, Names, SchemaNames};

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
    loading: Mutex<HashMap<Arc<str>, Urgency>>,
    requests: mpsc::Sender<Request>,
    pub(super) shared: Vec<String>,
    pub(super) epochs: Epochs,
    /// What tenants' own DDL has overtaken.
    own: Epochs,
    /// The DDL of tenants that is in progress.
    pub(super) changes: Changes,
    pub(super) age: Lasting,
    /// Loads that have ended, and who waits for one to.
    arrivals: AtomicU64,
    arrival: Notify,
    /// Not forgotten by DDL: no tenant changes them.
    functions: ArcSwapOption<CommonFunctions>,
    /// What a tenant's path holds of which nothing else is known.
    blank: ArcSwapOption<Names>,
}

/// What is known of a schema.
pub struct Known {
    /// What its path holds, as far as that is known; `None` until the shared schemas were loaded once.
    pub names: Option<Arc<Names>>,
    /// As long as [`Catalog::news`] says this, and until then, the catalog has no other answer.
    pub news: u64,
    /// See [`Known::news`].
    pub until: Instant,
}

/// A schema that is to be loaded.
pub(super) struct Request {
    pub schema: Arc<str>,
    pub urgency: Urgency,
}

/// When a schema is to be loaded. The later, the sooner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// Once no more DDL comes, for one load after all of it.
    Settled,
    /// As soon as may be.
    Now,
}

/// One schema, or the failure to load it.
#[derive(Clone)]
struct Entry {
    names: Option<Arc<Names>>,
    /// A failed load may go better at the next attempt.
    is_passing: bool,
    stamp: Stamp,
    /// How long the load took.
    cost: Duration,
    /// From here on a new load is worth it, while this one is still good.
    refresh: Instant,
    until: Instant,
}

/// How often a schema was invalidated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// By whoever may change anything, or in ways that nobody has told.
    others: u64,
    /// By its tenant's own DDL.
    own: u64,
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
    pub fn new(
        control: Control,
        shared: &[String],
        age: Duration,
        metrics: Arc<Metrics>,
    ) -> (Arc<Self>, Loader) {
        let (requests, queue) = mpsc::channel(QUEUE);
        let catalog = Arc::new(Self {
            loaded: Cache::with_weighter(1024, WEIGHT, Weight),
            loading: Mutex::default(),
            requests,
            shared: shared.to_vec(),
            epochs: Epochs::new(),
            own: Epochs::new(),
            changes: Changes::default(),
            age: Lasting::new(age),
            arrivals: AtomicU64::new(0),
            arrival: Notify::new(),
            functions: ArcSwapOption::empty(),
            blank: ArcSwapOption::empty(),
        });
        let loader = Loader::new(&catalog, control, queue, metrics);
        (catalog, loader)
    }

    /// What the schemas hold is believed for so long from now on, once it is loaded anew.
    pub fn believe_for(&self, age: Duration) {
        self.age.set(age);
        self.invalidate_all();
    }

    /// The functions that every tenant can call, as they were when they were last loaded.
    pub fn functions(&self) -> Option<Arc<CommonFunctions>> {
        self.functions.load_full()
    }

    /// What the path of `schema` holds, if that is known, not too old and not overtaken.
    ///
    /// If not, it is to be loaded when this returns.
    pub fn get(&self, schema: &str) -> Option<Arc<Names>> {
        self.look(schema, Instant::now()).names.filter(|names| names.currency == Currency::Current)
    }

    /// What is known of the path of `schema`, and how long that will be so.
    pub fn look(&self, schema: &str, now: Instant) -> Known {
        // Before the look: what comes during it is news.
        let news = self.news();
        let stamp = self.stamp(schema);
        let entry = self.loaded.get(schema).filter(|entry| entry.until > now);
        let until = entry.as_ref().map_or(now, |entry| entry.refresh);
        let is_due = until <= now;
        let (names, wanted) = match entry {
            Some(Entry { names: None, .. }) => (None, None),
            Some(Entry { names, stamp: of, .. }) if of == stamp => (names, None),
            Some(Entry { names, stamp: of, .. }) if of.others == stamp.others => {
                (names.as_deref().map(overtaken), Some(Urgency::Settled))
            }
            Some(_) => (None, Some(Urgency::Settled)),
            None => (None, Some(Urgency::Now)),
        };
        if let Some(urgency) = if is_due { Some(Urgency::Now) } else { wanted } {
            self.request(schema, urgency);
        }
        Known { names: names.or_else(|| self.blank.load_full()), news, until }
    }

    /// Changes when something was loaded or invalidated, whatever schema it was of.
    pub fn news(&self) -> u64 {
        // All of them only grow, so their sum changes when one of them does.
        self.arrivals.load(Ordering::Acquire) + self.epochs.changes() + self.own.changes()
    }

    /// Waits until [`Catalog::get`] has an answer, over failures that pass. `false`: the load has failed in a way that
    /// the next attempt would, too.
    pub async fn loaded(&self, schema: &str) -> bool {
        self.better(schema, Some(Currency::Overtaken)).await
    }

    /// Waits until more is known of `schema` than with names that are so current, over failures that pass. `false`: no
    /// more can be known, or the load has failed in a way that the next attempt would, too.
    pub async fn better(&self, schema: &str, than: Option<Currency>) -> bool {
        if than == Some(Currency::Current) {
            return false;
        }
        loop {
            let arrival = self.arrival.notified();
            let now = Instant::now();
            if rank(self.look(schema, now).names.map(|names| names.currency)) > rank(than) {
                return true;
            }
            match self.loaded.get(schema).filter(|entry| entry.names.is_none() && entry.until > now) {
                Some(failure) if !failure.is_passing => return false,
                // Behind the pause the schema is asked for again.
                Some(failure) => {
                    let _ = tokio::time::timeout_at(failure.until, arrival).await;
                }
                None => {
                    self.request(schema, Urgency::Now);
                    arrival.await;
                }
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

    /// The tenant of `schema` has run DDL: what is known of it is overtaken, but for what no tenant can change.
    pub fn overtake(&self, schema: &str) {
        match self.shared.iter().any(|shared| shared == schema) {
            true => self.epochs.bump_all(),
            false => self.own.bump(schema),
        }
    }

    /// Forgets all that is known.
    pub fn invalidate_all(&self) {
        self.epochs.bump_all();
    }

    /// Changes when the schema, or a shared one, was invalidated or overtaken.
    pub fn epoch(&self, schema: &str) -> u64 {
        self.stamp(schema).sum()
    }

    /// Whether DDL is in progress in the schema, or in a shared one, besides that of the `own` transactions.
    pub fn is_changing(&self, schema: &str, own: &[Change]) -> bool {
        let schemas = self.shared.iter().map(String::as_str).chain([schema]);
        self.changes.are_in_progress(schemas, own, Instant::now)
    }

    /// Another proxy tells of DDL, or somebody else says anything.
    pub(super) fn hear_of_change(&self, payload: &str) {
        let Some((news, schema)) = self.changes.read(payload) else { return };
        if news == News::Ended {
            // First, so that there is no moment in which the DDL is neither in progress nor known.
            self.overtake(&schema);
        }
        self.changes.hear(news, &schema, Instant::now());
    }

    pub(super) fn stamp(&self, schema: &str) -> Stamp {
        Stamp { others: self.epochs.of(schema), own: self.own.of(schema) }
    }

    fn request(&self, schema: &str, urgency: Urgency) {
        let mut loading = self.loading();
        if loading.get(schema).is_some_and(|wanted| *wanted >= urgency) {
            return;
        }
        let schema: Arc<str> = schema.into();
        if self.requests.try_send(Request { schema: Arc::clone(&schema), urgency }).is_ok() {
            loading.insert(schema, urgency);
        }
    }

    fn loading(&self) -> MutexGuard<'_, HashMap<Arc<str>, Urgency>> {
        self.loading.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// No more DDL has come: `schema` is loaded, unless it was meanwhile.
    pub(super) fn settled(&self, schema: &str) {
        let waits = self.loading().get(schema) == Some(&Urgency::Settled);
        if waits {
            self.request(schema, Urgency::Now);
            // With no room for it, its next statement asks again.
            self.loading().extract_if(|of, wanted| **of == *schema && *wanted == Urgency::Settled).count();
        }
    }

    /// How long `schema` is not loaded behind DDL.
    pub(super) fn pause(&self, schema: &str) -> Pause {
        Pause::of(self.loaded.get(schema).map_or(Duration::ZERO, |entry| entry.cost))
    }

    /// Puts in what all paths share.
    pub(super) fn put_common(&self, common: CommonFunctions) {
        let (shared, builtin) = (common.shared.clone(), Arc::clone(&common.builtin));
        let blank = Names { tenant: Arc::default(), shared, builtin, currency: Currency::SharedOnly };
        self.functions.store(Some(Arc::new(common)));
        self.blank.store(Some(Arc::new(blank)));
        self.arrive();
    }

    /// Puts in what a load gave that was begun at `stamp` and took `cost`. To [`Catalog::look`] it is not current if
    /// the schema was invalidated since.
    pub(super) fn put(
        &self,
        schema: Arc<str>,
        stamp: Stamp,
        cost: Duration,
        loaded: Result<Arc<Names>, CatalogError>,
    ) {
        let now = Instant::now();
        let is_passing = loaded.as_ref().is_err_and(CatalogError::is_passing);
        let names = loaded.ok();
        let age = self.age.get();
        // What all paths share may be a quarter of the age old already.
        let (refresh, until) = match names {
            Some(_) => (now + age / 2, now + age / 4 * 3),
            // A failure isn't refreshed early: that would be no pause. One that took long is not repeated soon.
            None => {
                let until = now + age.min(PAUSE.max(cost * 4));
                (until, until)
            }
        };
        self.loaded.insert(Arc::clone(&schema), Entry { names, is_passing, stamp, cost, refresh, until });
        self.loading().remove(&schema);
        self.arrive();
    }

    fn arrive(&self) {
        self.arrivals.fetch_add(1, Ordering::AcqRel);
        self.arrival.notify_waiters();
    }
}

impl Stamp {
    /// Changes when one of them does: both only grow.
    fn sum(self) -> u64 {
        self.others + self.own
    }
}

/// The more is known, the higher.
fn rank(currency: Option<Currency>) -> u8 {
    match currency {
        None => 0,
        Some(Currency::SharedOnly) => 1,
        Some(Currency::Overtaken) => 2,
        Some(Currency::Current) => 3,
    }
}

/// The same names behind DDL of the tenant's.
fn overtaken(names: &Names) -> Arc<Names> {
    Arc::new(Names { currency: Currency::Overtaken, ..names.clone() })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    const COST: Duration = Duration::from_millis(1);

    fn catalog(queue: &mut Option<Loader>) -> Arc<Catalog> {
        let text = "[databases.app]\nhost = \"/nowhere\"\nuser = \"app\"";
        let config = Config::parse(text, Path::new("test.toml")).unwrap();
        let control = Control::new("app", &config.databases["app"], None).unwrap();
        let (catalog, loader) =
            Catalog::new(control, &["public".into()], Duration::from_secs(60), Arc::new(Metrics::new(1)));
        *queue = Some(loader);
        catalog
    }

    fn names() -> Result<Arc<Names>, CatalogError> {
        let currency = Currency::Current;
        Ok(Arc::new(Names { tenant: Arc::default(), shared: Vec::new(), builtin: Arc::default(), currency }))
    }

    fn currency(catalog: &Catalog) -> Option<Currency> {
        catalog.look("a", Instant::now()).names.map(|names| names.currency)
    }

    /// The urgency of each request for a load.
    fn asked(loader: &mut Option<Loader>) -> Vec<Urgency> {
        let queue = &mut loader.as_mut().unwrap().queue;
        std::iter::from_fn(|| queue.try_recv().ok()).map(|request| request.urgency).collect()
    }

    #[test]
    fn own_ddl_leaves_what_no_tenant_changes_and_others_leave_nothing() {
        let mut loader = None;
        let catalog = catalog(&mut loader);
        assert_eq!(currency(&catalog), None);
        catalog.put_common(CommonFunctions::default());
        assert_eq!(currency(&catalog), Some(Currency::SharedOnly));
        catalog.put("a".into(), catalog.stamp("a"), COST, names());
        let epoch = catalog.epoch("a");
        catalog.overtake("a");
        assert_eq!(currency(&catalog), Some(Currency::Overtaken));
        assert!(catalog.get("a").is_none() && catalog.epoch("a") > epoch);
        catalog.invalidate("a");
        assert_eq!(currency(&catalog), Some(Currency::SharedOnly));
        // A load from between the two has seen the one and not the other.
        let between = catalog.stamp("a");
        catalog.overtake("a");
        catalog.put("a".into(), between, COST, names());
        assert_eq!(currency(&catalog), Some(Currency::Overtaken));
    }

    #[test]
    fn load_behind_ddl_waits_until_there_is_no_more() {
        let mut loader = None;
        let catalog = catalog(&mut loader);
        catalog.put_common(CommonFunctions::default());
        catalog.put("a".into(), catalog.stamp("a"), COST, names());
        for _ in 0..100 {
            catalog.overtake("a");
            assert_eq!(currency(&catalog), Some(Currency::Overtaken));
        }
        assert_eq!(asked(&mut loader), [Urgency::Settled]);
        catalog.settled("a");
        catalog.settled("a");
        assert_eq!(asked(&mut loader), [Urgency::Now]);
        // Whoever waits for it is not kept waiting.
        catalog.put("a".into(), catalog.stamp("a"), COST, names());
        catalog.overtake("a");
        assert!(catalog.get("a").is_none());
        catalog.request("a", Urgency::Now);
        assert_eq!(asked(&mut loader), [Urgency::Settled, Urgency::Now]);
        catalog.settled("a");
        assert_eq!(asked(&mut loader), []);
    }

    #[tokio::test]
    async fn no_more_is_waited_for_than_there_is() {
        let mut loader = None;
        let catalog = catalog(&mut loader);
        assert!(!catalog.better("a", Some(Currency::Current)).await);
        catalog.put_common(CommonFunctions::default());
        assert!(catalog.better("a", None).await);
        catalog.put("a".into(), catalog.stamp("a"), COST, names());
        catalog.overtake("a");
        assert!(catalog.better("a", Some(Currency::SharedOnly)).await);
    }

    #[test]
    fn load_from_before_an_invalidation_is_not_used() {
        let mut loader = None;
        let catalog = catalog(&mut loader);
        for invalidated in ["a", "public"] {
            let before = catalog.stamp("a");
            catalog.invalidate(invalidated);
            catalog.put("a".into(), before, COST, names());
            assert!(catalog.get("a").is_none(), "{invalidated}");
            catalog.put("a".into(), catalog.stamp("a"), COST, names());
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
        catalog.put("a".into(), catalog.stamp("a"), COST, Err(CatalogError::Ended));
        assert!(catalog.get("a").is_none() && queue.try_recv().is_err());
    }

    #[tokio::test]
    async fn failure_that_passes_is_waited_over() {
        let mut loader = None;
        let catalog = catalog(&mut loader);
        let queue = &mut loader.as_mut().unwrap().queue;
        catalog.put("a".into(), catalog.stamp("a"), COST, Err(CatalogError::Ended));
        assert!(!catalog.loaded("a").await);
        catalog.put("a".into(), catalog.stamp("a"), COST, Err(CatalogError::Late("app".into(), "names")));
        let waiting = tokio::spawn({
            let catalog = Arc::clone(&catalog);
            async move { catalog.loaded("a").await }
        });
        // It asks once more, and has what comes then.
        assert_eq!(&*queue.recv().await.unwrap().schema, "a");
        catalog.put("a".into(), catalog.stamp("a"), COST, names());
        assert!(waiting.await.unwrap());
    }
}
