//! Asks PostgreSQL what a schema holds.

use std::sync::LazyLock;
use std::time::Duration;

use tokio_postgres::Row;

use super::control::{CatalogError, Control};
use crate::sql::scope::{Builtins, Relation, SchemaNames};

/// One question for all that a schema holds. The edges stand in it twice:
/// a recursive part may be named only once where it grows.
static SCHEMA: LazyLock<String> =
    LazyLock::new(|| include_str!("schema.sql").replace("{edges}", include_str!("edges.sql")));

/// The same columns for `pg_catalog`, where only names matter.
const BUILTINS: &str = "
SELECT 'relation', c.relname::text, c.relkind::text, true
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = $1::pg_catalog.text::pg_catalog.name AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
UNION ALL
SELECT 'function', p.proname::text, '', pg_catalog.bool_and(p.provolatile = 'i')
FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = $1::pg_catalog.text::pg_catalog.name
GROUP BY p.proname
UNION ALL
SELECT 'type', t.typname::text, '', true
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
WHERE n.nspname = $1::pg_catalog.text::pg_catalog.name
  AND (t.typrelid = 0 OR c.relkind = 'c')";

/// The kind of a function in C that no known extension brought.
const UNKNOWN_CODE: u8 = b'c';

/// One thing that a schema holds.
struct Thing {
    what: String,
    name: Box<str>,
    /// A relation's kind, or a schema.
    detail: Box<str>,
    plain: bool,
}

impl Thing {
    fn read(row: &Row) -> Result<Self, tokio_postgres::Error> {
        let (name, detail): (&str, &str) = (row.try_get(1)?, row.try_get(2)?);
        Ok(Self { what: row.try_get(0)?, name: name.into(), detail: detail.into(), plain: row.try_get(3)? })
    }
}

/// What `schema` holds; nothing at all if there is no such schema.
pub async fn schema(control: &Control, schema: &str) -> Result<SchemaNames, CatalogError> {
    schema_within(control, schema, None).await
}

/// The same. PostgreSQL gives up after `limit` (57014), if there is one, in place of the connection's limit.
pub(super) async fn schema_within(
    control: &Control,
    schema: &str,
    limit: Option<Duration>,
) -> Result<SchemaNames, CatalogError> {
    #[cfg(feature = "simulation")]
    if let Some(names) = pgstrata_simulation::world(|world| world.schema(schema)) {
        return Ok(names.unwrap_or_default());
    }
    let mut names = SchemaNames::default();
    for thing in control.things(&SCHEMA, schema, "what a schema holds", limit).await? {
        let Thing { what, name, detail, plain } = thing;
        let kind = detail.bytes().next().unwrap_or_default();
        match what.as_str() {
            "relation" => drop(names.relations.insert(name, Relation { kind, plain })),
            "function" => {
                if kind == UNKNOWN_CODE {
                    names.unknown_code.insert(name.clone());
                }
                names.functions.insert(name);
            }
            "type" => drop(names.types.insert(name)),
            "outward" => names.outward.entry(name).or_default().push(detail),
            "refers" => names.refers_outward = true,
            "operators" => names.has_operators = true,
            _ => names.has_triggers = true,
        }
    }
    Ok(names)
}

/// What `pg_catalog` holds.
pub async fn builtins(control: &Control) -> Result<Builtins, CatalogError> {
    #[cfg(feature = "simulation")]
    if let Some(names) = pgstrata_simulation::world(|world| world.builtins()) {
        return Ok(names);
    }
    let mut names = Builtins::default();
    for thing in control.things(BUILTINS, "pg_catalog", "what pg_catalog holds", None).await? {
        let Thing { what, name, plain, .. } = thing;
        match what.as_str() {
            "relation" => drop(names.relations.insert(name)),
            "function" => names.add_function(name, plain),
            _ => drop(names.types.insert(name)),
        }
    }
    Ok(names)
}

impl Control {
    async fn things(
        &self,
        sql: &str,
        schema: &str,
        what: &'static str,
        limit: Option<Duration>,
    ) -> Result<Vec<Thing>, CatalogError> {
        let rows = match limit {
            Some(limit) => self.ask_within(sql, schema, what, limit).await?,
            None => self.ask(sql, schema, what).await?,
        };
        let things: Result<Vec<Thing>, _> = rows.iter().map(Thing::read).collect();
        things.map_err(|error| self.failed(what, error))
    }
}
