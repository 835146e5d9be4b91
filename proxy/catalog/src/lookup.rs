//! Asks PostgreSQL how tenants fare: one question for all that are asked for at the same time, so that
//! ten thousand clients who look again at once cost a few questions.

use std::collections::HashMap;
use std::sync::Arc;

use pgstrata_control::registry::State;
use tokio::sync::{mpsc, oneshot};
use tokio_postgres::Row;

use super::control::{CatalogError, Control};
use super::placement::Placement;
use super::registry::{Registry, tenant_state};

/// Schemas in one question.
const MOST: usize = 1000;

/// Questions that may wait; who asks one more waits for room.
const QUEUE: usize = 1024;

const WHAT: &str = "tenants' schemas";

/// Which of the schemas there are, and whether the registry could say more.
const SCHEMAS: &str = "
SELECT asked.schema, n.oid IS NOT NULL, NULL::pg_catalog.text, NULL::pg_catalog.text, NULL::pg_catalog.text,
  NULL::pg_catalog.text, NULL::pg_catalog.int8, {readable}
FROM pg_catalog.unnest($1::pg_catalog.text[]) AS asked (schema)
LEFT JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) asked.schema::pg_catalog.name";

/// Which there are, what the registry says of them, and whether that is what it said before: all as of one
/// moment.
const REGISTERED: &str = "
SELECT asked.schema, n.oid IS NOT NULL, s.state, s.xmin::pg_catalog.text, NULL::pg_catalog.text,
  NULL::pg_catalog.text, NULL::pg_catalog.int8
FROM pg_catalog.unnest($1::pg_catalog.text[]) AS asked (schema)
LEFT JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) asked.schema::pg_catalog.name
LEFT JOIN pgstrata_control.schemas s ON s.schema OPERATOR(pg_catalog.=) asked.schema::pg_catalog.name";

/// The same, and where each lives.
const PLACED: &str = "
SELECT asked.schema, n.oid IS NOT NULL, s.state, s.xmin::pg_catalog.text, p.cluster, p.database::pg_catalog.text,
  p.generation
FROM pg_catalog.unnest($1::pg_catalog.text[]) AS asked (schema)
LEFT JOIN pg_catalog.pg_namespace n ON n.nspname OPERATOR(pg_catalog.=) asked.schema::pg_catalog.name
LEFT JOIN pgstrata_control.schemas s ON s.schema OPERATOR(pg_catalog.=) asked.schema::pg_catalog.name
LEFT JOIN pgstrata_control.placements p ON p.schema OPERATOR(pg_catalog.=) asked.schema::pg_catalog.name";

/// What is known of a tenant, or why nothing is.
pub(super) type Reply = Result<Seen, Arc<CatalogError>>;

/// What is known of a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its state; `None`: there is no such tenant.
    pub state: Option<State>,
    /// Which version of its row the registry has; `None` for a tenant that is not in it.
    pub row: Option<Box<str>>,
    /// Where the registry says that it lives; `None`: here.
    pub placement: Option<Arc<Placement>>,
}

/// What is asked, and where the answer goes.
pub(super) type Question = (Arc<str>, oneshot::Sender<Reply>);

/// Answers the questions of a [`super::TenantDirectory`].
pub struct Lookups {
    control: Control,
    registry: Arc<Registry>,
    queue: mpsc::Receiver<Question>,
    schemas: String,
}

impl Lookups {
    pub(super) fn new(control: Control, registry: Arc<Registry>) -> (mpsc::Sender<Question>, Self) {
        let (questions, queue) = mpsc::channel(QUEUE);
        let schemas = SCHEMAS.replace("{readable}", registry.question());
        (questions, Self { control, registry, queue, schemas })
    }

    /// Answers until the directory is dropped.
    pub async fn run(mut self) {
        let mut questions = Vec::new();
        while self.queue.recv_many(&mut questions, MOST).await > 0 {
            questions.retain(|(_, answer)| !answer.is_closed());
            let schemas: Vec<&str> = questions.iter().map(|(schema, _)| &**schema).collect();
            let answered = match schemas.is_empty() {
                true => Ok(HashMap::new()),
                false => self.ask(&schemas).await.map_err(Arc::new),
            };
            for (schema, answer) in questions.drain(..) {
                let reply = match &answered {
                    Ok(rows) => self.reply(&schema, rows.get(&*schema)),
                    Err(error) => Err(Arc::clone(error)),
                };
                // Who asked may have given up.
                let _ = answer.send(reply);
            }
        }
    }

    fn reply(&self, schema: &Arc<str>, found: Option<&Found>) -> Reply {
        let Some(Found { exists, state, row, placement }) = found else { return Ok(Seen::default()) };
        let state = state.as_deref().map(str::parse).transpose();
        let unknown =
            |error| Arc::new(CatalogError::State(self.control.name().to_owned(), (**schema).into(), error));
        let row = row.as_deref().map(Box::from);
        let placement = placement.clone();
        Ok(Seen { state: tenant_state(*exists, state.map_err(unknown)?), row, placement })
    }

    /// What was found of each schema.
    async fn ask(&self, schemas: &[&str]) -> Result<HashMap<String, Found>, CatalogError> {
        #[cfg(feature = "simulation")]
        if let Some(found) = pgstrata_simulation::world(|world| simulated(world, schemas)) {
            return Ok(found);
        }
        let registered = if self.registry.places() { PLACED } else { REGISTERED };
        if self.registry.is_readable() {
            match self.control.ask_with(registered, &[&schemas], WHAT).await {
                Err(error) if self.registry.is_lost(&error) => {}
                rows => return self.read(rows?),
            }
        }
        let rows = self.control.ask_with(&self.schemas, &[&schemas], WHAT).await?;
        let readable = rows.first().map(|row| row.try_get(7)).transpose();
        self.registry.note(readable.map_err(|error| self.control.failed(WHAT, error))?.flatten());
        if self.registry.is_readable() {
            match self.control.ask_with(registered, &[&schemas], WHAT).await {
                // It is gone again: what was asked before it was there holds.
                Err(error) if self.registry.is_lost(&error) => {}
                rows => return self.read(rows?),
            }
        }
        // Nobody could tell which of them live elsewhere.
        if self.registry.places() {
            let (name, mend) = (self.control.name().to_owned(), self.registry.mend());
            return Err(CatalogError::NoPlacements { name, mend });
        }
        self.read(rows)
    }

    fn read(&self, rows: Vec<Row>) -> Result<HashMap<String, Found>, CatalogError> {
        let read = |row: &Row| {
            let placement = Placement::of(row, 4)?.map(Arc::new);
            let (exists, state) = (row.try_get(1)?, row.try_get(2)?);
            Ok((row.try_get(0)?, Found { exists, state, row: row.try_get(3)?, placement }))
        };
        let read: Result<_, tokio_postgres::Error> = rows.iter().map(read).collect();
        read.map_err(|error| self.control.failed(WHAT, error))
    }
}

/// A schema as PostgreSQL has it.
struct Found {
    exists: bool,
    state: Option<String>,
    row: Option<String>,
    placement: Option<Arc<Placement>>,
}

/// The schemas of a simulated world, which has no registry.
#[cfg(feature = "simulation")]
fn simulated(world: &dyn pgstrata_simulation::World, schemas: &[&str]) -> HashMap<String, Found> {
    let found = |schema: &&str| {
        let exists = world.schema(schema).is_some();
        ((*schema).to_owned(), Found { exists, state: None, row: None, placement: None })
    };
    schemas.iter().map(found).collect()
}
