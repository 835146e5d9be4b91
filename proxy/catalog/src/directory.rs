//! Which tenants there are, which schema each one has, and its state.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pgstrata_control::registry::State;
use quick_cache::sync::{Cache, EntryAction, EntryResult};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::Catalog;
use super::control::{CatalogError, Control};
use super::epochs::{Announcements, Epochs};
use super::lasting::Lasting;
use super::lookup::{Lookups, Question, Reply, Seen};
use super::placement::Placement;
use super::registry::Registry;
use crate::config::Config;

/// Names whose answer is remembered.
const REMEMBERED: usize = 100_000;

/// A tenant that was just made must not be missing for long, nor must one that is served again.
const UNSERVED: Duration = Duration::from_secs(1);

/// Finds the schemas of tenants in one database. A tenant is there if its schema is, and where the
/// registry has a row of it, that says its state.
pub struct TenantDirectory {
    questions: mpsc::Sender<Question>,
    catalog: Arc<Catalog>,
    registry: Arc<Registry>,
    known: Cache<Arc<str>, Answer>,
    believed: Lasting,
    epochs: Epochs,
    /// PostgreSQL tells of changes in the registry.
    told: AtomicBool,
}

/// What is known of a tenant in one database.
#[derive(Clone, Debug)]
pub struct Sight {
    /// Its state there.
    pub look: Look,
    /// Where the registry says that it lives; `None`: there.
    pub placement: Option<Arc<Placement>>,
    /// It has moved since the last time that anybody asked.
    pub moved: bool,
}

/// The state of a tenant, and as of when.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// `None`: there is no such tenant.
    pub state: Option<State>,
    /// [`TenantDirectory::changes`] of before the question.
    pub changes: u64,
    /// [`TenantDirectory::epoch`] of before the question; where two directories were asked, that of both.
    pub epoch: u64,
}

impl Look {
    /// Whether its clients are not served now and will be before long.
    pub fn is_passing(&self) -> bool {
        matches!(self.state, Some(State::Provisioning | State::Migrating))
    }
}

/// What was found, and for how long that holds.
#[derive(Clone)]
struct Answer {
    seen: Seen,
    epoch: u64,
    until: Instant,
}

impl Answer {
    /// Whether it holds as of `epoch` though its time is over, as nobody can say more: the question failed with `error`.
    /// Only that a tenant lives elsewhere does: its state is that of its own cluster.
    fn lasts(&self, epoch: u64, error: &CatalogError) -> bool {
        error.is_passing() && self.epoch == epoch && self.seen.placement.is_some()
    }
}

impl TenantDirectory {
    /// The directory of the database that `control` is connected to, and whose schemas' names `catalog` has: it is on
    /// one cluster. The [`Lookups`] have to be run.
    pub fn new(control: Control, config: &Config, catalog: Arc<Catalog>) -> (Self, Lookups) {
        Self::on_cluster(control, config, catalog, false, Arc::default())
    }

    /// The same of one on several, which have these `announcements` in common. `places`: its registry says where tenants
    /// live.
    pub fn on_cluster(
        control: Control,
        config: &Config,
        catalog: Arc<Catalog>,
        places: bool,
        announcements: Arc<Announcements>,
    ) -> (Self, Lookups) {
        let registry = Arc::new(Registry::new(&control, places));
        let (questions, lookups) = Lookups::new(control, Arc::clone(&registry));
        let directory = Self {
            questions,
            catalog,
            registry,
            known: Cache::new(REMEMBERED),
            believed: Lasting::new(config.tenancy.tenant_cache),
            epochs: Epochs::announced_by(announcements),
            told: AtomicBool::new(false),
        };
        (directory, lookups)
    }

    /// Answers are believed for so long from now on.
    pub fn believe_for(&self, time: Duration) {
        self.believed.set(time);
        self.invalidate_all();
    }

    /// What is known of the tenant with this schema.
    ///
    /// Clients that ask for one schema at the same time share one question. While the registry's cluster is away, it goes
    /// on that the tenant lives elsewhere, if nothing was heard against it: it can be served there.
    pub async fn look(&self, schema: &Arc<str>) -> Result<Sight, Arc<CatalogError>> {
        let now = Instant::now();
        // Before the question: a change that comes during it must count.
        let (changes, epoch) = (self.changes(), self.epoch(schema));
        let sight =
            |state, placement, moved| Sight { look: Look { state, changes, epoch }, placement, moved };
        let still_true = |_: &Arc<str>, answer: &mut Answer| match answer.epoch == epoch && answer.until > now
        {
            true => EntryAction::Retain((answer.seen.state, answer.seen.placement.clone())),
            false => EntryAction::ReplaceWithGuard,
        };
        let (guard, before) = match self.known.entry_async(schema, still_true).await {
            EntryResult::Retained((state, placement)) => return Ok(sight(state, placement, false)),
            EntryResult::Vacant(guard) => (guard, None),
            EntryResult::Replaced(guard, before) => (guard, Some(before)),
            // Neither is asked for: nothing is removed, and nothing times out.
            EntryResult::Removed(..) | EntryResult::Timeout => return Ok(sight(None, None, false)),
        };
        let seen = match (self.ask(schema).await, before.as_ref()) {
            (Ok(seen), _) => seen,
            (Err(error), Some(before)) if before.lasts(epoch, &error) => {
                let answer = Answer { until: Instant::now() + UNSERVED, ..before.clone() };
                let (state, placement) = (answer.seen.state, answer.seen.placement.clone());
                // As below.
                let _ = guard.insert(answer);
                return Ok(sight(state, placement, false));
            }
            (Err(error), _) => return Err(error),
        };
        let before = before.map(|before| before.seen);
        let moved = before.as_ref().is_some_and(|before| before.placement != seen.placement);
        if moved || before.is_some_and(|before| before.row != seen.row) {
            // It was migrated, perhaps, and nobody told.
            self.catalog.invalidate(schema);
        }
        let (state, placement) = (seen.state, seen.placement.clone());
        let settled = state == Some(State::Active) || placement.is_some();
        let believed = self.believed.get();
        let believed = if settled { believed } else { believed.min(UNSERVED) };
        // It fails if the entry was taken out meanwhile: then the next one asks again.
        let _ = guard.insert(Answer { seen, epoch, until: Instant::now() + believed });
        Ok(sight(state, placement, moved))
    }

    /// The state of the tenant with this schema and its placement, as PostgreSQL has them now: nothing that is remembered.
    pub async fn look_anew(
        &self,
        schema: &Arc<str>,
    ) -> Result<(Option<State>, Option<Arc<Placement>>), Arc<CatalogError>> {
        let Seen { state, placement, .. } = self.ask(schema).await?;
        Ok((state, placement))
    }

    async fn ask(&self, schema: &Arc<str>) -> Reply {
        let ended = || Arc::new(CatalogError::Ended);
        let (answer, answered) = oneshot::channel();
        self.questions.send((Arc::clone(schema), answer)).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }

    /// Forgets the state of `schema` here. Who is told of changes is told on all clusters.
    pub fn invalidate(&self, schema: &str) {
        self.epochs.bump(schema);
    }

    /// Forgets the state of each schema here, likewise.
    pub fn invalidate_all(&self) {
        self.epochs.bump_all();
    }

    /// Changes with each invalidation, of whatever schema on whatever cluster of the database: one load tells that there
    /// is nothing new. Never 0.
    #[inline]
    pub fn changes(&self) -> u64 {
        self.epochs.changes()
    }

    /// Changes when `schema` is invalidated here.
    pub fn epoch(&self, schema: &str) -> u64 {
        self.epochs.of(schema)
    }

    /// Done when there is news of `schema`, from this call on, from whatever cluster; at times when there is none.
    pub fn news(&self, schema: &str) -> impl Future<Output = ()> + use<'_> {
        self.epochs.news(schema)
    }

    /// The registry, as far as it is known.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Whether PostgreSQL tells of changes in the registry now.
    pub fn is_told(&self) -> bool {
        self.told.load(Ordering::Relaxed)
    }

    /// From now on PostgreSQL tells of changes, or no longer.
    pub(super) fn set_told(&self, told: bool) {
        self.told.store(told, Ordering::Relaxed);
    }

    /// The state of each schema that somebody has asked for, as it was last seen, in the order of their names.
    pub fn known_states(&self) -> Vec<(Arc<str>, Option<State>)> {
        let known = self.known.iter().map(|(schema, answer)| (schema, answer.seen.state));
        let mut known: Vec<_> = known.collect();
        known.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        known
    }
}
