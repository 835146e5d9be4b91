//! The version of each schema.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::Error;
use crate::registry::State;
use crate::{Control, registry};

/// The versions of all schemas.
#[derive(Debug, Serialize)]
pub struct Versions {
    /// The number of schemas with each version, the source included; those without a version come first.
    pub counts: Vec<Count>,
    /// All registered schemas, by name.
    pub schemas: Vec<Standing>,
}

/// The number of schemas with one version.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The version; none before the first migration.
    pub version: Option<i64>,
    /// The number of schemas.
    pub schemas: usize,
}

/// The version and state of a schema.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The schema.
    pub schema: String,
    /// Its state.
    pub state: State,
    /// Its last migration.
    pub version: Option<i64>,
    /// A migration outside of a transaction that has not ended: it is running, or was interrupted.
    pub unfinished: Option<String>,
}

impl Control {
    /// The versions of all schemas; empty without a registry.
    pub async fn versions(&self) -> Result<Versions, Error> {
        let query = "SELECT s.schema, s.state, s.version, m.name FROM pgstrata_control.schemas AS s
                     LEFT JOIN pgstrata_control.migrations AS m ON m.schema = s.schema AND m.state = 'running'
                     ORDER BY s.schema, m.version";
        let rows = match self.client().await?.query_typed(query, &[]).await {
            Err(error) if registry::is_missing(&error) => Vec::new(),
            rows => rows.map_err(Error::postgres("asking the registry who is at which version"))?,
        };
        let mut schemas: Vec<Standing> = Vec::new();
        for row in rows {
            let state: &str = row.get(1);
            let (schema, state) = (row.get(0), state.parse()?);
            schemas.push(Standing { schema, state, version: row.get(2), unfinished: row.get(3) });
        }
        schemas.dedup_by(|later, first| later.schema == first.schema);
        let mut counts = BTreeMap::new();
        for standing in &schemas {
            *counts.entry(standing.version).or_default() += 1;
        }
        let counts = counts.into_iter().map(|(version, schemas)| Count { version, schemas }).collect();
        Ok(Versions { counts, schemas })
    }
}
