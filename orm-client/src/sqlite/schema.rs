//! Tables that are missing, as SQLite has them.

use pgstrata_tenancy::ident::quoted;

use crate::Error;
use crate::entity::{ColumnDefinition, Generated, RelationKind};
use crate::manager::{Layout, Link, list};
use crate::sql::{NOW, type_of};
use tokio_postgres::types::Type;

/// What SQLite calls a type. What is neither a number nor bytes is a text, so that nothing that looks like a number becomes one.
pub(crate) fn sql_type(column: &ColumnDefinition) -> &'static str {
    match type_of(column.sql_type) {
        Some(Type::BOOL | Type::INT2 | Type::INT4 | Type::INT8) => "INTEGER",
        Some(Type::FLOAT4 | Type::FLOAT8) => "REAL",
        Some(Type::NUMERIC) => "NUMERIC",
        Some(Type::BYTEA) => "BLOB",
        _ => "TEXT",
    }
}

/// A version 4 UUID, of SQLite's own random bytes.
const UUID: &str = "(lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-' || \
     substr('89ab', 1 + (abs(random()) % 4), 1) || substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6))))";

/// All that makes a table, with its indexes, unless it is there.
pub(crate) fn create(layout: &Layout, tenant: Option<&'static str>) -> Result<Vec<String>, Error> {
    let entity = layout.entity;
    let keys: Vec<&str> =
        layout.columns.iter().filter(|column| column.primary_key).map(|column| column.name).collect();
    // Keys of several tenants' rows are counted by the ORM, each tenant's by themselves.
    let alone = keys.len() == 1 && layout.tenant.is_none();
    let of_key = layout.of_one_tenant(keys);
    let mut parts: Vec<String> =
        layout.columns.iter().map(|part| column(part, alone, layout.is_alone(part))).collect();
    if !alone {
        parts.push(format!("PRIMARY KEY ({})", list(&of_key)));
    }
    for unique in layout.columns.iter().filter(|column| column.unique && !layout.is_alone(column)) {
        parts.push(format!("UNIQUE ({})", list(&layout.of_one_tenant([unique.name]))));
    }
    for relation in entity.relations.iter().filter(|relation| relation.kind == RelationKind::BelongsTo) {
        let Link { own, others } = Link::new(layout, relation, tenant)?;
        let target = quoted((relation.target)().table);
        parts.push(format!("FOREIGN KEY ({}) REFERENCES {target} ({})", list(&own), list(&others)));
    }
    let table = quoted(entity.table);
    let mut statements = vec![format!("CREATE TABLE IF NOT EXISTS {table} ({})", parts.join(", "))];
    for index in entity.indexes {
        let unique = if index.unique { "UNIQUE " } else { "" };
        let made = format!(
            "{}_{}_{}",
            entity.table,
            index.columns.join("_"),
            if index.unique { "key" } else { "idx" }
        );
        let columns = list(&layout.of_one_tenant(index.columns.iter().copied()));
        let name = quoted(index.name.unwrap_or(&made));
        statements.push(format!("CREATE {unique}INDEX IF NOT EXISTS {name} ON {table} ({columns})"));
    }
    Ok(statements)
}

fn column(column: &ColumnDefinition, only_key: bool, alone: bool) -> String {
    let mut sql = format!("{} {}", quoted(column.name), sql_type(column));
    if column.primary_key && only_key {
        sql += " PRIMARY KEY";
    }
    if column.is_stamp() {
        sql += &format!(" DEFAULT ({NOW})");
    }
    match (column.generated, column.default) {
        // Only of the whole key, which then is never given to two rows, also where one was deleted.
        (Some(Generated::Identity), _) if column.primary_key && only_key => sql += " AUTOINCREMENT",
        (Some(Generated::Uuid), _) => sql += &format!(" DEFAULT {UUID}"),
        (None, Some("now()" | "CURRENT_TIMESTAMP" | "current_timestamp")) => {
            sql += " DEFAULT CURRENT_TIMESTAMP"
        }
        (None, Some(default)) => sql += &format!(" DEFAULT ({default})"),
        _ => {}
    }
    if !column.nullable {
        sql += " NOT NULL";
    }
    if column.unique && alone {
        sql += " UNIQUE";
    }
    sql
}
