//! Who is at which version.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::Error;
use crate::registry::State;
use crate::{Control, registry};

/// Who is at which version.
#[derive(Debug, Serialize)]
pub struct Versions {
    /// How many schemas have each version, the source among them; those with none come first.
    pub counts: Vec<Count>,
    /// All schemas of the registry, by name.
    pub schemas: Vec<Standing>,
}

/// How many schemas have one version.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The version; none before the first migration.
    pub version: Option<i64>,
    /// How many have it.
    pub schemas: usize,
}

/// How a schema stands.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// Which.
    pub schema: String,
    /// How it fares.
    pub state: State,
    /// The last migration that it has.
    pub version: Option<i64>,
    /// A migration that runs in no transaction and has not come to its end: it runs now, or was stopped.
    pub unfinished: Option<String>,
}

impl Control {
    /// Who is at which version. Nobody is, where there is no registry.
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
