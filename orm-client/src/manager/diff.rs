//! What the database lacks of its entities, as SQL for a person to read.

use pgstrata_tenancy::ident::quoted;

use super::EntityManager;
use super::scope::Layout;
use super::synchronize::{
    Found, Naming, add_key, column, create_index, create_table, index_name, key_name, list, name,
};
use crate::entity::{ColumnDefinition, RelationKind};
use crate::{Error, Transaction};

/// What brings tables to their entities: see [`EntityManager::diff`].
///
/// ```
/// let nothing = pgstrata_orm::Diff::default();
/// assert!(nothing.is_empty() && nothing.tenants().is_empty() && nothing.shared().is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diff {
    tenants: String,
    shared: String,
}

impl Diff {
    /// Whether there is nothing to do.
    ///
    /// ```
    /// assert!(pgstrata_orm::Diff::default().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        let says = |sql: &str| sql.lines().any(|line| !line.starts_with("--"));
        !says(&self.tenants) && !says(&self.shared)
    }

    /// For the tables that each tenant has: to be run by the path, in the source and for each tenant. A line that begins with `--` is for
    /// the reader.
    ///
    /// ```
    /// assert_eq!(pgstrata_orm::Diff::default().tenants(), "");
    /// ```
    pub fn tenants(&self) -> &str {
        &self.tenants
    }

    /// For the tables that are pinned to a schema: to be run once.
    ///
    /// ```
    /// assert_eq!(pgstrata_orm::Diff::default().shared(), "");
    /// ```
    pub fn shared(&self) -> &str {
        &self.shared
    }
}

impl EntityManager {
    /// What brings the tables that tenants are made from to the entities, as SQL: tables, columns, indexes and keys that are missing, types
    /// and nullability that differ. Nothing is changed, and nothing is dropped: for a column that no field has, there is a comment.
    ///
    /// A person reads it, and makes a migration of it, which [`Control::migrate`](crate::control::Control::migrate) runs in the source
    /// and for all tenants.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let diff = em.diff().await?;
    /// if !diff.is_empty() {
    ///     std::fs::write("migrations/20261130120000_entities.sql", diff.tenants()).expect("a folder for migrations");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Unsupported`] on another database than PostgreSQL, and what PostgreSQL says.
    pub async fn diff(&self) -> Result<Diff, Error> {
        self.kind().require_schemas()?;
        let tenant = self.strategy().tenant_column();
        let tx = self.unscoped().begin().await?;
        let mut diff = Diff::default();
        for entity in &self.shared().options.entities {
            let layout = Layout::new(entity, tenant);
            let sql = self.table_diff(&tx, &layout, tenant).await?;
            match entity.schema {
                Some(_) => diff.shared += &sql,
                None => diff.tenants += &sql,
            }
        }
        // The types of columns were read by tables that nobody needs.
        tx.rollback().await?;
        Ok(diff)
    }

    async fn table_diff(
        &self,
        tx: &Transaction,
        layout: &Layout,
        tenant: Option<&'static str>,
    ) -> Result<String, Error> {
        let there = Existing::read(tx, layout).await?;
        let table = Naming::Path.table(layout.entity);
        let mut sql = String::new();
        if there.columns.is_empty() {
            sql += &create_table(layout, Naming::Path);
        } else {
            for (each, found) in layout.columns.iter().zip(self.found(tx, layout).await?) {
                sql += &column_diff(&table, each, layout.is_alone(each), &found);
            }
            for each in layout.columns.iter().filter(|column| column.unique) {
                let columns = layout.of_one_tenant([each.name]);
                // A column that is added has it already.
                let added = layout.is_alone(each) && !there.columns.iter().any(|name| name == each.name);
                if !added && !there.unique.iter().any(|unique| *unique == columns) {
                    sql += &format!("ALTER TABLE {table} ADD UNIQUE ({});\n", list(&columns));
                }
            }
            for name in
                there.columns.iter().filter(|name| !layout.columns.iter().any(|each| each.name == **name))
            {
                sql += &format!(
                    "-- no field has it: ALTER TABLE {table} DROP COLUMN {};\n",
                    quoted(name).replace('\n', " ")
                );
            }
        }
        for index in
            layout.entity.indexes.iter().filter(|index| !there.names.contains(&index_name(layout, index)))
        {
            sql += &create_index(layout, index, Naming::Path);
        }
        let relations = layout.entity.relations.iter();
        for relation in relations.filter(|relation| relation.kind == RelationKind::BelongsTo) {
            if !there.names.contains(&key_name(layout, relation)) {
                sql +=
                    &format!("ALTER TABLE {table} {};\n", add_key(layout, relation, tenant, Naming::Path)?);
            }
        }
        Ok(sql)
    }
}

/// What brings one column to its definition.
fn column_diff(table: &str, each: &ColumnDefinition, alone: bool, found: &Found) -> String {
    let name = quoted(each.name);
    let Some((kind, not_null)) = &found.found else {
        let mut sql = String::new();
        if !each.nullable && each.default.is_none() && each.generated.is_none() && !each.is_stamp() {
            sql += "-- fails where the table has rows: give the column a default\n";
        }
        return sql + &format!("ALTER TABLE {table} ADD COLUMN {};\n", column(each, alone));
    };
    let mut sql = String::new();
    if *kind != found.expected {
        let expected = &found.expected;
        sql += &format!("-- {} is {kind}\n", each.name.replace('\n', " "));
        sql +=
            &format!("ALTER TABLE {table} ALTER COLUMN {name} TYPE {expected} USING {name}::{expected};\n");
    }
    match (each.nullable, not_null) {
        (true, true) => sql += &format!("ALTER TABLE {table} ALTER COLUMN {name} DROP NOT NULL;\n"),
        (false, false) => sql += &format!("ALTER TABLE {table} ALTER COLUMN {name} SET NOT NULL;\n"),
        _ => {}
    }
    sql
}

/// What there is of a table.
struct Existing {
    /// Its columns.
    columns: Vec<String>,
    /// Its indexes and foreign keys.
    names: Vec<String>,
    /// The columns of each of its unique indexes.
    unique: Vec<Vec<String>>,
}

impl Existing {
    async fn read(tx: &Transaction, layout: &Layout) -> Result<Self, Error> {
        let table = name(layout.entity);
        let read = || Error::row("reading what a table has");
        let columns = "SELECT attname::pg_catalog.text FROM pg_catalog.pg_attribute \
             WHERE attrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1) AND attnum OPERATOR(pg_catalog.>) 0 AND NOT attisdropped ORDER BY attnum";
        let names = "SELECT c.relname::pg_catalog.text FROM pg_catalog.pg_index AS i \
             JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid \
             WHERE i.indrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1) \
             UNION ALL SELECT conname::pg_catalog.text FROM pg_catalog.pg_constraint \
             WHERE conrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1) AND contype OPERATOR(pg_catalog.=) 'f'";
        let unique = "SELECT ARRAY(SELECT a.attname::pg_catalog.text FROM pg_catalog.unnest(i.indkey::pg_catalog.int2[]) WITH ORDINALITY AS k (n, o) \
               JOIN pg_catalog.pg_attribute AS a ON a.attrelid OPERATOR(pg_catalog.=) i.indrelid AND a.attnum OPERATOR(pg_catalog.=) k.n ORDER BY k.o) \
             FROM pg_catalog.pg_index AS i WHERE i.indrelid OPERATOR(pg_catalog.=) pg_catalog.to_regclass($1) \
               AND i.indisunique AND i.indpred IS NULL AND i.indexprs IS NULL";
        let texts = async |sql: &str| {
            let rows = tx.query(sql, &[&table]).await?;
            rows.iter().map(|row| row.try_get(0).map_err(read())).collect::<Result<Vec<String>, Error>>()
        };
        let rows = tx.query(unique, &[&table]).await?;
        let unique = rows.iter().map(|row| row.try_get(0).map_err(read())).collect::<Result<_, Error>>()?;
        Ok(Self { columns: texts(columns).await?, names: texts(names).await?, unique })
    }
}
