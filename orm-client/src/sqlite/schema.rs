//! Tables that are missing, as SQLite has them.

use pgstrata_tenancy::ident::quoted;

use crate::entity::{ColumnDefinition, EntityDefinition, Generated, RelationKind};
use crate::sql::type_of;
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
pub(crate) fn create(entity: &EntityDefinition) -> Vec<String> {
    let keys: Vec<_> = entity.columns.iter().filter(|column| column.primary_key).collect();
    let mut parts: Vec<String> = entity.columns.iter().map(|part| column(part, keys.len() == 1)).collect();
    if keys.len() > 1 {
        let keys: Vec<String> = keys.iter().map(|key| quoted(key.name)).collect();
        parts.push(format!("PRIMARY KEY ({})", keys.join(", ")));
    }
    for relation in entity.relations.iter().filter(|relation| relation.kind == RelationKind::BelongsTo) {
        parts.push(format!(
            "FOREIGN KEY ({}) REFERENCES {} ({})",
            quoted(relation.column),
            quoted((relation.target)().table),
            quoted(relation.target_column)
        ));
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
        let columns: Vec<String> = index.columns.iter().map(|column| quoted(column)).collect();
        statements.push(format!(
            "CREATE {unique}INDEX IF NOT EXISTS {} ON {table} ({})",
            quoted(index.name.unwrap_or(&made)),
            columns.join(", ")
        ));
    }
    statements
}

fn column(column: &ColumnDefinition, only_key: bool) -> String {
    let mut sql = format!("{} {}", quoted(column.name), sql_type(column));
    if column.primary_key && only_key {
        sql += " PRIMARY KEY";
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
    if column.unique {
        sql += " UNIQUE";
    }
    sql
}
