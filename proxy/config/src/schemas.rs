//! Which schema a tenant would have.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use pgstrata_tenancy::{TenantId, is_system_schema};

use super::Config;

/// The schemas of a configuration.
#[derive(Clone, Debug, Default)]
pub struct Schemas {
    /// Those of tenants that have one of another name.
    named: HashMap<Box<str>, Arc<str>>,
    /// Schemas that no tenant has by its own name: shared ones, and those in `named`.
    reserved: HashSet<Box<str>>,
}

impl Schemas {
    /// Of a configuration that is checked.
    pub(super) fn of(config: &Config) -> Self {
        let mut named = HashMap::new();
        let mut reserved: HashSet<Box<str>> =
            config.tenancy.shared_schemas.iter().map(|schema| schema.as_str().into()).collect();
        // A client with no tenant works in it; as a tenant it would be everybody's.
        reserved.insert("public".into());
        for (name, tenant) in &config.tenants {
            if let Some(schema) = tenant.schema.as_deref().filter(|schema| schema != name) {
                named.insert(name.as_str().into(), schema.into());
                reserved.insert(schema.into());
            }
        }
        Self { named, reserved }
    }

    /// The schema that `tenant` would have, unless no tenant can have it.
    pub fn candidate(&self, tenant: &TenantId) -> Option<Arc<str>> {
        if let Some(schema) = self.named.get(tenant.as_str()) {
            return Some(Arc::clone(schema));
        }
        let name = tenant.as_str();
        (!is_system_schema(name) && !self.reserved.contains(name)).then(|| name.into())
    }
}
