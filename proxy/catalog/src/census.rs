//! How many tenants the registry has, by state and by version.

use std::collections::BTreeMap;

use pgstrata_control::registry::State;
use tokio_postgres::Row;

use super::control::{CatalogError, Control};
use crate::metrics::Census;

/// Versions that are counted by themselves: each is a series of its own in the metrics.
const VERSIONS: i64 = 20;

/// Each is counted, be it 0: a series that comes and goes is hard to watch.
const STATES: [State; 5] =
    [State::Provisioning, State::Active, State::Migrating, State::Suspended, State::Dropping];

/// What tenants are made from is none, nor is what a tenant has left behind on another cluster. One row for each state, and for each version.
const COUNT: &str = "
WITH tenants AS (
  SELECT state, version FROM pgstrata_control.schemas WHERE state OPERATOR(pg_catalog.<>) 'source'
    AND NOT pg_catalog.starts_with(schema::pg_catalog.text, 'pgstrata_moved_')
), versions AS (
  SELECT version, pg_catalog.count(*) AS tenants,
    pg_catalog.row_number() OVER (ORDER BY pg_catalog.count(*) DESC, version DESC NULLS LAST) AS place
  FROM tenants GROUP BY version
), named AS (
  SELECT CASE WHEN place OPERATOR(pg_catalog.>) $1::pg_catalog.int8 THEN 'other'
    ELSE COALESCE(version::pg_catalog.text, 'none') END AS version, tenants
  FROM versions
)
SELECT true, state, pg_catalog.count(*) FROM tenants GROUP BY state
UNION ALL
SELECT false, version, pg_catalog.sum(tenants)::pg_catalog.int8 FROM named GROUP BY version";

/// Counts those of `control`'s database, where there is a registry.
pub(super) async fn take(control: &Control) -> Result<Census, CatalogError> {
    let what = "the number of tenants";
    let rows = control.ask_with(COUNT, &[&VERSIONS], what).await?;
    let states = STATES.iter().map(|state| (state.to_string(), 0)).collect();
    let mut census = Census { states, versions: BTreeMap::new() };
    for row in &rows {
        add(row, &mut census).map_err(|error| control.failed(what, error))?;
    }
    Ok(census)
}

fn add(row: &Row, census: &mut Census) -> Result<(), tokio_postgres::Error> {
    let counts = if row.try_get(0)? { &mut census.states } else { &mut census.versions };
    counts.insert(row.try_get(1)?, row.try_get(2)?);
    Ok(())
}
