//! Which tenants there are, and which schema each one has.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pgstrata_tenancy::TenantId;
use quick_cache::sync::{Cache, EntryAction, EntryResult};

use super::control::{CatalogError, Control};
use super::epochs::Epochs;
use super::is_system_schema;
use crate::config::Config;

/// Names whose answer is remembered.
const REMEMBERED: usize = 100_000;

/// A tenant that was just made must not be missing for long.
const ABSENT: Duration = Duration::from_secs(1);

const EXISTS: &str = "SELECT FROM pg_catalog.pg_namespace \
                      WHERE nspname OPERATOR(pg_catalog.=) $1::pg_catalog.text::pg_catalog.name";

/// Finds the schema of a tenant in one database.
pub struct TenantDirectory {
    control: Control,
    /// The schemas of tenants that have one of another name.
    schemas: HashMap<Box<str>, Arc<str>>,
    /// Schemas that no tenant has by its own name: shared ones, and those in `schemas`.
    reserved: HashSet<Box<str>>,
    known: Cache<Arc<str>, Answer>,
    believed: Duration,
    epochs: Epochs,
}

/// What was found, and for how long that holds.
#[derive(Clone)]
struct Answer {
    schema: Option<Arc<str>>,
    epoch: u64,
    until: Instant,
}

impl TenantDirectory {
    /// The directory of the database that `control` is connected to.
    pub fn new(control: Control, config: &Config) -> Self {
        let mut schemas = HashMap::new();
        let mut reserved: HashSet<Box<str>> =
            config.tenancy.shared_schemas.iter().map(|schema| schema.as_str().into()).collect();
        // A client with no tenant works in it; as a tenant it would be everybody's.
        reserved.insert("public".into());
        for (name, tenant) in &config.tenants {
            if let Some(schema) = tenant.schema.as_deref().filter(|schema| schema != name) {
                schemas.insert(name.as_str().into(), schema.into());
                reserved.insert(schema.into());
            }
        }
        let believed = config.tenancy.tenant_cache;
        Self { control, schemas, reserved, known: Cache::new(REMEMBERED), believed, epochs: Epochs::new() }
    }

    /// The schema of `tenant`; `None` if there is no such tenant.
    ///
    /// Clients that ask for one name at the same time share one query.
    pub async fn resolve(&self, tenant: &TenantId) -> Result<Option<Arc<str>>, CatalogError> {
        let Some(schema) = self.candidate(tenant) else {
            return Ok(None);
        };
        let now = Instant::now();
        // Before the question: an invalidation that comes during it must count.
        let epoch = self.epochs.of(&schema);
        let still_true = |_: &Arc<str>, answer: &mut Answer| match answer.epoch == epoch && answer.until > now
        {
            true => EntryAction::Retain(answer.schema.clone()),
            false => EntryAction::ReplaceWithGuard,
        };
        let guard = match self.known.entry_async(&schema, still_true).await {
            EntryResult::Retained(found) => return Ok(found),
            EntryResult::Vacant(guard) | EntryResult::Replaced(guard, _) => guard,
            // Neither is asked for: nothing is removed, and nothing times out.
            EntryResult::Removed(..) | EntryResult::Timeout => return Ok(None),
        };
        let found = self.exists(&schema).await?.then_some(schema);
        let believed = if found.is_some() { self.believed } else { self.believed.min(ABSENT) };
        // It fails if the entry was taken out meanwhile: then the next one asks again.
        let _ = guard.insert(Answer { schema: found.clone(), epoch, until: Instant::now() + believed });
        Ok(found)
    }

    /// Forgets whether there is such a schema.
    pub fn invalidate(&self, schema: &str) {
        self.epochs.bump(schema);
    }

    /// Forgets which schemas there are.
    pub fn invalidate_all(&self) {
        self.epochs.bump_all();
    }

    /// The schema that `tenant` would have, unless no tenant can have it.
    fn candidate(&self, tenant: &TenantId) -> Option<Arc<str>> {
        if let Some(schema) = self.schemas.get(tenant.as_str()) {
            return Some(Arc::clone(schema));
        }
        let name = tenant.as_str();
        (!is_system_schema(name) && !self.reserved.contains(name)).then(|| name.into())
    }

    async fn exists(&self, schema: &str) -> Result<bool, CatalogError> {
        let rows = self.control.ask(EXISTS, schema, "a tenant's schema").await?;
        Ok(!rows.is_empty())
    }
}
