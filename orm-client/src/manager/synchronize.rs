//! Tables that are missing: created, with their indexes and foreign keys, in the schemas that tenants are made from.

use std::collections::BTreeSet;

use pgstrata_tenancy::ident::{self, quoted};
use pgstrata_tenancy::layers::PUBLIC;

use super::EntityManager;
use crate::Error;
use crate::entity::{
    ColumnDefinition, EntityDefinition, Generated, IndexDefinition, RelationDefinition, RelationKind,
};

/// A table that is made, looked at, and dropped again in one transaction.
const MODEL: &str = "pgstrata_model_of_columns";

/// The key of the lock that keeps processes apart which start at once.
const LOCK: i64 = 0x7067_7374_6f72_6d73;

impl EntityManager {
    /// Creates what is missing. All or nothing.
    pub(super) async fn synchronize(&self) -> Result<(), Error> {
        let entities = &self.shared().options.entities;
        #[cfg(feature = "sqlite")]
        if self.kind() == crate::DatabaseKind::Sqlite {
            return self.synchronize_sqlite().await;
        }
        // Tables are named with their schemas; types and defaults are found where extensions are most often.
        let shared = self.shared().options.shared.iter().map(String::as_str);
        let path = ident::search_path(["pg_catalog", PUBLIC].into_iter().chain(shared));
        let mut sql = format!(
            "SET LOCAL search_path TO {path}; SET LOCAL client_min_messages = warning; SELECT pg_catalog.pg_advisory_xact_lock({LOCK});\n"
        );
        let schemas: BTreeSet<_> = entities.iter().map(|entity| schema(entity)).collect();
        for schema in schemas.into_iter().filter(|schema| *schema != PUBLIC) {
            sql += &format!("CREATE SCHEMA IF NOT EXISTS {};\n", quoted(schema));
        }
        for entity in entities {
            sql += &create_table(entity);
        }
        let tx = super::session::public(self.begin()).await?;
        tx.batch(&sql, "creating tables").await?;
        for entity in entities {
            self.check(&tx, entity).await?;
        }
        // What goes by columns comes when it is known that they are there.
        let mut sql = String::new();
        for entity in entities {
            for index in entity.indexes {
                sql += &create_index(entity, index);
            }
            for relation in
                entity.relations.iter().filter(|relation| relation.kind == RelationKind::BelongsTo)
            {
                sql += &foreign_key(entity, relation);
            }
        }
        tx.batch(&sql, "creating indexes and foreign keys").await?;
        super::session::public(tx.commit()).await
    }

    /// The same in SQLite, where a table has columns of the types that SQLite knows.
    #[cfg(feature = "sqlite")]
    async fn synchronize_sqlite(&self) -> Result<(), Error> {
        let tx = self.public().begin().await?;
        for entity in &self.shared().options.entities {
            for statement in crate::sqlite::schema::create(entity) {
                tx.batch(&statement, "creating tables").await?;
            }
            let sql = "SELECT name, type, \"notnull\" FROM pragma_table_info($1)";
            let rows = tx.query(sql, &[&entity.table]).await?;
            let (mut found, mut differing) = (BTreeSet::new(), Vec::new());
            for row in rows {
                let read = || Error::row("reading the columns of a table");
                let name: String = row.try_get(0).map_err(read())?;
                let (kind, not_null): (String, bool) =
                    (row.try_get(1).map_err(read())?, row.try_get(2).map_err(read())?);
                if let Some(column) = entity.columns.iter().find(|column| column.name == name) {
                    differing.extend(differs(
                        column,
                        crate::sqlite::schema::sql_type(column),
                        &kind,
                        not_null,
                    ));
                }
                found.insert(name);
            }
            let missing = entity.columns.iter().filter(|column| !found.contains(column.name));
            let columns: Vec<String> = missing.map(|column| column.name.to_owned()).collect();
            if !columns.is_empty() {
                return Err(Error::Outdated { table: quoted(entity.table), columns });
            }
            if !differing.is_empty() {
                return Err(Error::Differs { table: quoted(entity.table), columns: differing });
            }
        }
        tx.commit().await
    }

    /// A table that was there may lack something, or have it in another way. What its entity says, PostgreSQL itself reads: from an empty
    /// table of such columns.
    async fn check(&self, tx: &super::Transaction, entity: &'static EntityDefinition) -> Result<(), Error> {
        let columns: Vec<String> = entity
            .columns
            .iter()
            .map(|column| format!("{} {}", quoted(column.name), column.sql_type))
            .collect();
        let model = format!("{}.{}", quoted(schema(entity)), quoted(MODEL));
        let create = format!("CREATE TABLE {model} ({})", columns.join(", "));
        tx.batch(&create, "reading the types of columns").await?;
        let sql = "SELECT e.attname::pg_catalog.text, pg_catalog.format_type(e.atttypid, e.atttypmod), \
                     pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull \
                   FROM pg_catalog.pg_attribute AS e LEFT JOIN pg_catalog.pg_attribute AS a \
                     ON a.attrelid OPERATOR(pg_catalog.=) $1::pg_catalog.text::pg_catalog.regclass \
                     AND a.attname OPERATOR(pg_catalog.=) e.attname AND NOT a.attisdropped \
                   WHERE e.attrelid OPERATOR(pg_catalog.=) $2::pg_catalog.text::pg_catalog.regclass \
                     AND e.attnum OPERATOR(pg_catalog.>) 0 ORDER BY e.attnum";
        let rows = super::session::public(tx.query(sql, &[&name(entity), &model])).await?;
        tx.batch(&format!("DROP TABLE {model}"), "reading the types of columns").await?;
        let (mut missing, mut differing) = (Vec::new(), Vec::new());
        for (row, column) in rows.iter().zip(entity.columns) {
            let read = Error::row("reading the columns of a table");
            let found = (row.try_get(1), row.try_get(2), row.try_get(3));
            let (expected, found, not_null): (String, Option<String>, Option<bool>) = match found {
                (Ok(expected), Ok(found), Ok(not_null)) => (expected, found, not_null),
                (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => return Err(read(error)),
            };
            match found {
                None => missing.push(column.name.to_owned()),
                Some(found) => differing.extend(differs(column, &expected, &found, not_null == Some(true))),
            }
        }
        match (missing.is_empty(), differing.is_empty()) {
            (false, _) => Err(Error::Outdated { table: name(entity), columns: missing }),
            (_, false) => Err(Error::Differs { table: name(entity), columns: differing }),
            (true, true) => Ok(()),
        }
    }
}

/// What a column has that its entity does not say.
fn differs(column: &ColumnDefinition, expected: &str, found: &str, not_null: bool) -> Option<String> {
    let name = column.name;
    if expected != found {
        return Some(format!("{name} is {found}, where the entity says {expected}"));
    }
    match (column.nullable, not_null) {
        (true, true) => Some(format!("{name} is NOT NULL, where the entity's field is an Option")),
        (false, false) => Some(format!("{name} may be NULL, where the entity's field is no Option")),
        _ => None,
    }
}

fn schema(entity: &EntityDefinition) -> &'static str {
    entity.schema.unwrap_or(PUBLIC)
}

fn name(entity: &EntityDefinition) -> String {
    format!("{}.{}", quoted(schema(entity)), quoted(entity.table))
}

fn create_table(entity: &EntityDefinition) -> String {
    let mut parts: Vec<String> = entity.columns.iter().map(column).collect();
    let keys: Vec<String> =
        entity.columns.iter().filter(|column| column.primary_key).map(|column| quoted(column.name)).collect();
    if !keys.is_empty() {
        parts.push(format!("PRIMARY KEY ({})", keys.join(", ")));
    }
    format!("CREATE TABLE IF NOT EXISTS {} ({});\n", name(entity), parts.join(", "))
}

fn column(column: &ColumnDefinition) -> String {
    let mut sql = format!("{} {}", quoted(column.name), column.sql_type);
    match (column.generated, column.default) {
        (Some(Generated::Identity), _) => sql += " GENERATED BY DEFAULT AS IDENTITY",
        (Some(Generated::Uuid), _) => sql += " DEFAULT gen_random_uuid()",
        (None, Some(default)) => sql += &format!(" DEFAULT {default}"),
        (None, None) => {}
    }
    if !column.nullable {
        sql += " NOT NULL";
    }
    if column.unique {
        sql += " UNIQUE";
    }
    sql
}

fn create_index(entity: &EntityDefinition, index: &IndexDefinition) -> String {
    let unique = if index.unique { "UNIQUE " } else { "" };
    let suffix = if index.unique { "key" } else { "idx" };
    let made = made_name(entity.table, index.columns, suffix);
    let columns: Vec<String> = index.columns.iter().map(|column| quoted(column)).collect();
    format!(
        "CREATE {unique}INDEX IF NOT EXISTS {} ON {} ({});\n",
        quoted(index.name.unwrap_or(&made)),
        name(entity),
        columns.join(", ")
    )
}

/// There is no `IF NOT EXISTS` for constraints.
fn foreign_key(entity: &EntityDefinition, relation: &RelationDefinition) -> String {
    let constraint = made_name(entity.table, &[relation.column], "fkey");
    let target = (relation.target)();
    let body = format!(
        "BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = {}::pg_catalog.regclass AND conname = {}) THEN \
         ALTER TABLE {} ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({}); END IF; END",
        literal(&name(entity)),
        literal(&constraint),
        name(entity),
        quoted(&constraint),
        quoted(relation.column),
        name(target),
        quoted(relation.target_column)
    );
    format!("DO {};\n", literal(&body))
}

/// `users_email_idx`: cut where PostgreSQL would cut it, but so that it stays one of its own.
fn made_name(table: &str, columns: &[&str], suffix: &str) -> String {
    let name = format!("{table}_{}_{suffix}", columns.join("_"));
    if name.len() <= ident::MAX_BYTES {
        return name;
    }
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let end = format!("_{:08x}_{suffix}", hash as u32);
    let cut = (0..=ident::MAX_BYTES - end.len()).rev().find_map(|cut| name.get(..cut));
    cut.unwrap_or_default().to_owned() + &end
}

fn literal(text: &str) -> String {
    let mut out = String::new();
    ident::push_literal(&mut out, text);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_names_fit_and_differ() {
        assert_eq!(made_name("users", &["email", "name"], "idx"), "users_email_name_idx");
        let long = "é".repeat(30);
        let (one, other) = (made_name(&long, &["a"], "idx"), made_name(&long, &["b"], "idx"));
        assert!(one.len() <= ident::MAX_BYTES && one != other && one.ends_with("_idx"), "{one} {other}");
    }
}
