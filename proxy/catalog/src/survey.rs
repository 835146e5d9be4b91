//! Looks now and then at what nobody tells of: schemas that were dropped or renamed past everybody, what
//! the registry says while nobody listens, and how many tenants there are.
//!
//! One small question, however many tenants there are: only where its answer has changed do sessions look
//! at their tenants again.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::TenantDirectory;
use super::census;
use super::control::{CatalogError, Control};
use crate::metrics::Metrics;

/// How often it is seen to whether something is due.
const TICK: Duration = Duration::from_secs(1);

/// Between two counts of the tenants.
const COUNT: Duration = Duration::from_secs(60);

const WHAT: &str = "what schemas there are";

/// The sum over all schemas up to a number, that over all of them, and the highest number: what was made
/// since has higher ones, and changes the second alone. What was changed and changed back has another xmin.
const SCHEMAS: &str = "
SELECT pg_catalog.sum(schema.hash) FILTER (WHERE schema.oid OPERATOR(pg_catalog.<=) $1)::pg_catalog.text,
  pg_catalog.sum(schema.hash)::pg_catalog.text, pg_catalog.max(schema.oid)
FROM (SELECT oid::pg_catalog.int8 AS oid, pg_catalog.hashtextextended(
        nspname::pg_catalog.text OPERATOR(pg_catalog.||) xmin::pg_catalog.text, oid::pg_catalog.int8) AS hash
      FROM pg_catalog.pg_namespace WHERE NOT pg_catalog.starts_with(nspname::pg_catalog.text, 'pg_')) AS schema";

const STATES: &str = "
SELECT pg_catalog.sum(pg_catalog.hashtextextended(
  schema::pg_catalog.text OPERATOR(pg_catalog.||) xmin::pg_catalog.text, 0))::pg_catalog.text
FROM pgstrata_control.schemas";

/// The same, with where tenants live.
const STATES_AND_PLACEMENTS: &str = "
SELECT pg_catalog.sum(pg_catalog.hashtextextended(
  entry.schema::pg_catalog.text OPERATOR(pg_catalog.||) entry.version, entry.kind))::pg_catalog.text
FROM (SELECT schema, xmin::pg_catalog.text, 0 FROM pgstrata_control.schemas
      UNION ALL SELECT schema, xmin::pg_catalog.text, 1 FROM pgstrata_control.placements) AS entry (schema, version, kind)";

/// Looks at one database.
pub struct Survey {
    control: Control,
    period: Duration,
}

/// What there was the last time.
#[derive(Default)]
struct Seen {
    highest: i64,
    /// `None`: never.
    schemas: Option<String>,
    /// `None`: PostgreSQL told of changes since.
    states: Option<String>,
}

impl Survey {
    /// Of the database of `control`, once in each `period`.
    pub fn new(control: Control, period: Duration) -> Self {
        Self { control, period }
    }

    /// Looks for ever: after schemas while there are `clients`, at the registry's numbers where there is one.
    pub async fn run(&self, directory: &TenantDirectory, clients: &AtomicUsize, metrics: &Metrics) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut looked, mut counted) = (Instant::now(), None::<Instant>);
        let mut seen = Seen::default();
        loop {
            ticks.tick().await;
            if clients.load(Ordering::Relaxed) > 0 && looked.elapsed() >= self.period {
                let changed = self.look(directory, &mut seen).await;
                looked = Instant::now();
                self.log(changed);
            }
            if !directory.registry().is_readable() {
                metrics.tenants(self.control.name(), None);
                counted = None;
            } else if counted.is_none_or(|counted| counted.elapsed() >= COUNT) {
                let census = census::take(&self.control).await;
                counted = Some(Instant::now());
                match census {
                    Ok(census) => metrics.tenants(self.control.name(), Some(census)),
                    Err(error) => self.log(Err(error)),
                }
            }
        }
    }

    fn log(&self, done: Result<(), CatalogError>) {
        if let Err(error) = done {
            tracing::debug!(database = self.control.name(), %error, "tenant survey failed");
        }
    }

    /// Has all tenants looked at again if something has gone, or may have.
    async fn look(&self, directory: &TenantDirectory, seen: &mut Seen) -> Result<(), CatalogError> {
        let (known, schemas, highest) = self.schemas(seen.highest).await?;
        let gone = seen.schemas.replace(schemas) != Some(known);
        seen.highest = highest;
        let changed = match directory.registry().is_readable() && !directory.is_told() {
            true => {
                let sum = if directory.registry().places() { STATES_AND_PLACEMENTS } else { STATES };
                let states = self.states(sum).await?;
                seen.states.replace(states.clone()).is_none_or(|before| before != states)
            }
            false => {
                seen.states = None;
                false
            }
        };
        if gone || changed {
            tracing::debug!(database = self.control.name(), gone, changed, "re-reading all tenants");
            directory.invalidate_all();
        }
        Ok(())
    }

    async fn schemas(&self, highest: i64) -> Result<(String, String, i64), CatalogError> {
        let rows = self.control.ask_with(SCHEMAS, &[&highest], WHAT).await?;
        let Some(row) = rows.first() else { return Ok(Default::default()) };
        let read = || {
            let text = |column| Ok(row.try_get::<_, Option<String>>(column)?.unwrap_or_default());
            Ok((text(0)?, text(1)?, row.try_get::<_, Option<i64>>(2)?.unwrap_or_default()))
        };
        read().map_err(|error| self.control.failed(WHAT, error))
    }

    async fn states(&self, sum: &str) -> Result<String, CatalogError> {
        let rows = self.control.ask_with(sum, &[], WHAT).await?;
        let sum = rows.first().map(|row| row.try_get::<_, Option<String>>(0)).transpose();
        Ok(sum.map_err(|error| self.control.failed(WHAT, error))?.flatten().unwrap_or_default())
    }
}
