//! Which tenants there are, which schema each one has, and how it fares.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use pgstrata_control::registry::State;
use pgstrata_tenancy::TenantId;
use quick_cache::sync::{Cache, EntryAction, EntryResult};
use tokio::sync::{mpsc, oneshot};

use super::Catalog;
use super::control::{CatalogError, Control};
use super::epochs::Epochs;
use super::lasting::Lasting;
use super::lookup::{Lookups, Question, Reply, Seen};
use super::registry::Registry;
use crate::config::Config;

/// Names whose answer is remembered.
const REMEMBERED: usize = 100_000;

/// A tenant that was just made must not be missing for long, nor must one that is served again.
const UNSERVED: Duration = Duration::from_secs(1);

/// Finds the schemas of tenants in one database. A tenant is there if its schema is, and where the
/// registry has a row of it, that says how it fares.
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

/// A tenant that is there.
#[derive(Clone, Debug)]
pub struct Found {
    /// Its schema.
    pub schema: Arc<str>,
    /// How it fares.
    pub state: State,
    /// The same, as of when.
    pub look: Look,
}

/// How a tenant fares, and as of when.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// `None`: there is no such tenant.
    pub state: Option<State>,
    /// [`TenantDirectory::changes`] of before the question.
    pub changes: u64,
    /// [`TenantDirectory::epoch`] of before the question.
    pub epoch: u64,
}

/// What was found, and for how long that holds.
#[derive(Clone)]
struct Answer {
    seen: Seen,
    epoch: u64,
    until: Instant,
}

impl TenantDirectory {
    /// The directory of the database that `control` is connected to, and whose schemas' names `catalog` has.
    /// The [`Lookups`] have to be run.
    pub fn new(control: Control, config: &Config, catalog: Arc<Catalog>) -> (Self, Lookups) {
        let registry = Arc::new(Registry::new(control.name()));
        let (questions, lookups) = Lookups::new(control, Arc::clone(&registry));
        let directory = Self {
            questions,
            catalog,
            registry,
            known: Cache::new(REMEMBERED),
            believed: Lasting::new(config.tenancy.tenant_cache),
            epochs: Epochs::new(),
            told: AtomicBool::new(false),
        };
        (directory, lookups)
    }

    /// Answers are believed for so long from now on.
    pub fn believe_for(&self, time: Duration) {
        self.believed.set(time);
        self.invalidate_all();
    }

    /// The tenant that has that name by `config`; `None` if there is no such tenant.
    pub async fn resolve(
        &self,
        tenant: &TenantId,
        config: &Config,
    ) -> Result<Option<Found>, Arc<CatalogError>> {
        let Some(schema) = config.schemas.candidate(tenant) else {
            return Ok(None);
        };
        let look = self.look(&schema).await?;
        Ok(look.state.map(|state| Found { schema, state, look }))
    }

    /// How the tenant with this schema fares.
    ///
    /// Clients that ask for one schema at the same time share one question.
    pub async fn look(&self, schema: &Arc<str>) -> Result<Look, Arc<CatalogError>> {
        let now = Instant::now();
        // Before the question: a change that comes during it must count.
        let (changes, epoch) = (self.changes(), self.epoch(schema));
        let look = |state| Look { state, changes, epoch };
        let still_true = |_: &Arc<str>, answer: &mut Answer| match answer.epoch == epoch && answer.until > now
        {
            true => EntryAction::Retain(answer.seen.state),
            false => EntryAction::ReplaceWithGuard,
        };
        let (guard, before) = match self.known.entry_async(schema, still_true).await {
            EntryResult::Retained(state) => return Ok(look(state)),
            EntryResult::Vacant(guard) => (guard, None),
            EntryResult::Replaced(guard, before) => (guard, Some(before.seen)),
            // Neither is asked for: nothing is removed, and nothing times out.
            EntryResult::Removed(..) | EntryResult::Timeout => return Ok(look(None)),
        };
        let seen = self.ask(schema).await?;
        if before.is_some_and(|before| before.row != seen.row) {
            // It was migrated, perhaps, and nobody told.
            self.catalog.invalidate(schema);
        }
        let state = seen.state;
        let believed = self.believed.get();
        let believed = if state == Some(State::Active) { believed } else { believed.min(UNSERVED) };
        // It fails if the entry was taken out meanwhile: then the next one asks again.
        let _ = guard.insert(Answer { seen, epoch, until: Instant::now() + believed });
        Ok(look(state))
    }

    async fn ask(&self, schema: &Arc<str>) -> Reply {
        let ended = || Arc::new(CatalogError::Ended);
        let (answer, answered) = oneshot::channel();
        self.questions.send((Arc::clone(schema), answer)).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }

    /// Forgets how `schema` fares.
    pub fn invalidate(&self, schema: &str) {
        self.epochs.bump(schema);
    }

    /// Forgets how each schema fares.
    pub fn invalidate_all(&self) {
        self.epochs.bump_all();
    }

    /// Changes with each invalidation, of whatever schema: one load tells that there is nothing new. Never 0.
    #[inline]
    pub fn changes(&self) -> u64 {
        self.epochs.changes()
    }

    /// Changes when `schema` is invalidated.
    pub fn epoch(&self, schema: &str) -> u64 {
        self.epochs.of(schema)
    }

    /// Done when there is news of `schema`, from this call on; at times when there is none.
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

    /// How each schema fares that somebody has asked for, as it was last seen, in the order of their names.
    pub fn known_states(&self) -> Vec<(Arc<str>, Option<State>)> {
        let known = self.known.iter().map(|(schema, answer)| (schema, answer.seen.state));
        let mut known: Vec<_> = known.collect();
        known.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        known
    }
}
