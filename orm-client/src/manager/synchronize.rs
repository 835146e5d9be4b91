//! Tables that are missing: created, with their indexes and foreign keys, in the schemas that tenants are made from.

use std::collections::BTreeSet;

use pgstrata_tenancy::ident::{self, quoted};
use pgstrata_tenancy::layers::PUBLIC;

use super::EntityManager;
use super::scope::Layout;
use crate::Error;
use crate::Session;
use crate::entity::{
    ColumnDefinition, EntityDefinition, Generated, IndexDefinition, RelationDefinition, RelationKind,
};
use crate::row::{Row, RowError};

/// A table that is made, looked at, and dropped again in one transaction.
const MODEL: &str = "pgstrata_model_of_columns";

/// The key of the lock that keeps processes apart which start at once.
const LOCK: i64 = 0x7067_7374_6f72_6d73;

impl EntityManager {
    /// Creates what is missing. All or nothing.
    pub(super) async fn synchronize(&self, session: Session) -> Result<(), Error> {
        let column = self.strategy().tenant_column();
        let layouts = self.shared().options.entities.iter().map(|entity| Layout::new(entity, column));
        let layouts: Vec<Layout> = layouts.collect();
        #[cfg(feature = "sqlite")]
        if self.kind() == crate::DatabaseKind::Sqlite {
            return self.synchronize_sqlite(&session, &layouts).await;
        }
        // Tables are named with their schemas; types and defaults are found where extensions are most often.
        let shared = self.shared().options.shared.iter().map(String::as_str);
        let path = ident::search_path(["pg_catalog", PUBLIC].into_iter().chain(shared));
        let mut sql = format!(
            "SET LOCAL search_path TO {path}; SET LOCAL client_min_messages = warning; SELECT pg_catalog.pg_advisory_xact_lock({LOCK});\n"
        );
        let schemas: BTreeSet<_> = layouts.iter().map(|layout| schema(layout.entity)).collect();
        for schema in schemas.into_iter().filter(|schema| *schema != PUBLIC) {
            sql += &format!("CREATE SCHEMA IF NOT EXISTS {};\n", quoted(schema));
        }
        for layout in &layouts {
            sql += &create_table(layout, Naming::Source);
        }
        let tx = session.begin().await?;
        tx.batch(&sql, "creating tables").await?;
        for layout in &layouts {
            self.check(&tx, layout).await?;
        }
        // What goes by columns comes when it is known that they are there.
        let mut sql = String::new();
        for layout in &layouts {
            for index in layout.entity.indexes {
                sql += &create_index(layout, index, Naming::Source);
            }
            for relation in
                layout.entity.relations.iter().filter(|relation| relation.kind == RelationKind::BelongsTo)
            {
                sql += &foreign_key(layout, relation, column)?;
            }
        }
        tx.batch(&sql, "creating indexes and foreign keys").await?;
        tx.commit().await
    }

    /// The same in SQLite, where a table has columns of the types that SQLite knows.
    #[cfg(feature = "sqlite")]
    async fn synchronize_sqlite(&self, session: &Session, layouts: &[Layout]) -> Result<(), Error> {
        let column = self.strategy().tenant_column();
        let tx = session.begin().await?;
        for layout in layouts {
            let entity = layout.entity;
            for statement in crate::sqlite::schema::create(layout, column)? {
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
                if let Some(column) = layout.columns.iter().find(|column| column.name == name) {
                    differing.extend(differs(
                        column,
                        crate::sqlite::schema::sql_type(column),
                        &kind,
                        not_null,
                    ));
                }
                found.insert(name);
            }
            let missing = layout.columns.iter().filter(|column| !found.contains(column.name));
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

    /// What there is of an entity's table is as the entity says.
    ///
    /// # Errors
    /// [`Error::Outdated`] and [`Error::Differs`].
    async fn check(&self, tx: &super::Transaction, layout: &Layout) -> Result<(), Error> {
        let (mut missing, mut differing) = (Vec::new(), Vec::new());
        for (column, Found { expected, found }) in layout.columns.iter().zip(self.found(tx, layout).await?) {
            match found {
                None => missing.push(column.name.to_owned()),
                Some((found, not_null)) => differing.extend(differs(column, &expected, &found, not_null)),
            }
        }
        let entity = layout.entity;
        match (missing.is_empty(), differing.is_empty()) {
            (false, _) => Err(Error::Outdated { table: name(entity), columns: missing }),
            (_, false) => Err(Error::Differs { table: name(entity), columns: differing }),
            (true, true) => Ok(()),
        }
    }

    /// The columns of a layout, as PostgreSQL writes their types, and as it has them.
    pub(super) async fn found(&self, tx: &super::Transaction, layout: &Layout) -> Result<Vec<Found>, Error> {
        let entity = layout.entity;
        let columns: Vec<String> = layout
            .columns
            .iter()
            .map(|column| format!("{} {}", quoted(column.name), column.sql_type))
            .collect();
        let model = format!("{}.{}", quoted(schema(entity)), quoted(MODEL));
        let create = format!("CREATE TABLE {model} ({})", columns.join(", "));
        tx.batch(&create, "reading the types of columns").await?;
        let sql = "SELECT pg_catalog.format_type(e.atttypid, e.atttypmod), \
                     pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull \
                   FROM pg_catalog.pg_attribute AS e LEFT JOIN pg_catalog.pg_attribute AS a \
                     ON a.attrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1) \
                     AND a.attname OPERATOR(pg_catalog.=) e.attname AND NOT a.attisdropped \
                   WHERE e.attrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($2) \
                     AND e.attnum OPERATOR(pg_catalog.>) 0 ORDER BY e.attnum";
        let rows = tx.query(sql, &[&name(entity), &model]).await?;
        tx.batch(&format!("DROP TABLE {model}"), "reading the types of columns").await?;
        rows.iter()
            .map(|row| Found::read(row).map_err(Error::row("reading the columns of a table")))
            .collect()
    }
}

/// A column in the database.
pub(super) struct Found {
    /// The entity's type, as PostgreSQL writes it.
    pub(super) expected: String,
    /// The column's type, and whether it is NOT NULL, if it is there.
    pub(super) found: Option<(String, bool)>,
}

impl Found {
    fn read(row: &Row) -> Result<Self, RowError> {
        let (found, not_null): (Option<String>, Option<bool>) = (row.try_get(1)?, row.try_get(2)?);
        Ok(Self { expected: row.try_get(0)?, found: found.zip(not_null) })
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

/// How tables are named.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Naming {
    /// With the schema that tenants are made from.
    Source,
    /// By the path, but those that are pinned: in a text that is run for each tenant.
    Path,
}

impl Naming {
    pub(super) fn table(self, entity: &EntityDefinition) -> String {
        match self {
            Self::Path if entity.schema.is_none() => quoted(entity.table),
            _ => name(entity),
        }
    }
}

fn schema(entity: &EntityDefinition) -> &'static str {
    entity.schema.unwrap_or(PUBLIC)
}

pub(super) fn name(entity: &EntityDefinition) -> String {
    format!("{}.{}", quoted(schema(entity)), quoted(entity.table))
}

pub(super) fn create_table(layout: &Layout, naming: Naming) -> String {
    let mut parts: Vec<String> =
        layout.columns.iter().map(|each| column(each, layout.is_alone(each))).collect();
    let keys: Vec<&str> =
        layout.columns.iter().filter(|column| column.primary_key).map(|column| column.name).collect();
    if !keys.is_empty() {
        parts.push(format!("PRIMARY KEY ({})", list(&layout.of_one_tenant(keys))));
    }
    for unique in layout.columns.iter().filter(|column| column.unique && !layout.is_alone(column)) {
        parts.push(format!("UNIQUE ({})", list(&layout.of_one_tenant([unique.name]))));
    }
    format!("CREATE TABLE IF NOT EXISTS {} ({});\n", naming.table(layout.entity), parts.join(", "))
}

/// Names, one behind the other.
pub(crate) fn list(names: &[&str]) -> String {
    names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
}

pub(super) fn column(column: &ColumnDefinition, alone: bool) -> String {
    let mut sql = format!("{} {}", quoted(column.name), column.sql_type);
    match (column.generated, column.default) {
        // For rows that others insert, and those of COPY.
        _ if column.is_stamp() => sql += " DEFAULT CURRENT_TIMESTAMP",
        (Some(Generated::Identity), _) => sql += " GENERATED BY DEFAULT AS IDENTITY",
        (Some(Generated::Uuid), _) => sql += " DEFAULT gen_random_uuid()",
        (None, Some(default)) => sql += &format!(" DEFAULT {default}"),
        (None, None) => {}
    }
    if !column.nullable {
        sql += " NOT NULL";
    }
    if column.unique && alone {
        sql += " UNIQUE";
    }
    sql
}

pub(super) fn create_index(layout: &Layout, index: &IndexDefinition, naming: Naming) -> String {
    let unique = if index.unique { "UNIQUE " } else { "" };
    let columns = list(&layout.of_one_tenant(index.columns.iter().copied()));
    let (name, table) = (quoted(&index_name(layout, index)), naming.table(layout.entity));
    format!("CREATE {unique}INDEX IF NOT EXISTS {name} ON {table} ({columns});\n")
}

/// An index's own name, or that which PostgreSQL would give it.
pub(super) fn index_name(layout: &Layout, index: &IndexDefinition) -> String {
    let suffix = if index.unique { "key" } else { "idx" };
    index.name.map_or_else(|| made_name(layout.entity.table, index.columns, suffix), ToOwned::to_owned)
}

/// The name of a relation's foreign key.
pub(super) fn key_name(layout: &Layout, relation: &RelationDefinition) -> String {
    made_name(layout.entity.table, &[relation.column], "fkey")
}

/// The foreign key of a relation, as a clause of `ALTER TABLE`.
///
/// # Errors
/// As [`Link::new`].
pub(super) fn add_key(
    layout: &Layout,
    relation: &RelationDefinition,
    column: Option<&'static str>,
    naming: Naming,
) -> Result<String, Error> {
    let Link { own, others } = Link::new(layout, relation, column)?;
    Ok(format!(
        "ADD CONSTRAINT {} FOREIGN KEY ({}) REFERENCES {} ({})",
        quoted(&key_name(layout, relation)),
        list(&own),
        naming.table((relation.target)()),
        list(&others)
    ))
}

/// There is no `IF NOT EXISTS` for constraints.
fn foreign_key(
    layout: &Layout,
    relation: &RelationDefinition,
    column: Option<&'static str>,
) -> Result<String, Error> {
    let table = name(layout.entity);
    let body = format!(
        "BEGIN IF NOT EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE conrelid = {}::pg_catalog.regclass AND conname = {}) THEN \
         ALTER TABLE {table} {}; END IF; END",
        literal(&table),
        literal(&key_name(layout, relation)),
        add_key(layout, relation, column, Naming::Source)?
    );
    Ok(format!("DO {};\n", literal(&body)))
}

/// The columns of a foreign key on both sides. Those of two tables of all tenants have the tenant's name in them: no row belongs to another
/// tenant's.
pub(crate) struct Link<'l> {
    pub(crate) own: Vec<&'l str>,
    pub(crate) others: Vec<&'l str>,
}

impl<'l> Link<'l> {
    /// That of a relation, by the strategy's column.
    ///
    /// # Errors
    /// [`Error::Options`]: a table that is everybody's belongs to rows that are one tenant's.
    pub(crate) fn new(
        layout: &Layout,
        relation: &'l RelationDefinition,
        column: Option<&'static str>,
    ) -> Result<Self, Error> {
        let target = (relation.target)();
        let column = column.filter(|_| target.schema.is_none());
        let (mut own, mut others) = (vec![relation.column], vec![relation.target_column]);
        match (layout.tenant, column) {
            (Some(tenant), Some(_)) => {
                own.insert(0, tenant);
                others.insert(0, tenant);
            }
            (None, Some(_)) => {
                return Err(Error::Options(format!(
                    "{} is one table for all tenants, and can't belong to {}, whose rows are each one tenant's",
                    layout.entity.name, target.name
                )));
            }
            (_, None) => {}
        }
        Ok(Self { own, others })
    }
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
