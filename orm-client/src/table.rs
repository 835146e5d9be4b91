//! Where an entity's rows are, for the tenant that asks.

use std::sync::Arc;

use pgstrata_tenancy::layers::{EntityMetadata, PUBLIC, Schema};
use pgstrata_tenancy::{TenantId, ident};

use crate::entity::{ColumnDefinition, EntityDefinition, RelationDefinition};
use crate::sql::Sql;
use crate::{DatabaseKind, Error};

/// A table as the context's tenant sees it.
#[doc(hidden)]
pub struct Table {
    pub(crate) definition: &'static EntityDefinition,
    metadata: Arc<EntityMetadata>,
    name: Arc<str>,
    /// The schema that is written in front of its name.
    schema: Option<Arc<str>>,
    /// It is the same table for all tenants.
    pub(crate) pinned: bool,
    /// Its name means the tenant's table only under the tenant's path.
    pub(crate) by_path: bool,
}

impl Table {
    /// The table of `definition` as `metadata` have it for `tenant`, or for nobody in particular. Only PostgreSQL has schemas.
    pub(crate) fn new(
        definition: &'static EntityDefinition,
        metadata: Arc<EntityMetadata>,
        tenant: Option<&TenantId>,
        qualifies: bool,
        kind: DatabaseKind,
    ) -> Result<Self, Error> {
        let schema: Option<Arc<str>> = match (&metadata.schema, tenant) {
            _ if kind != DatabaseKind::Postgres => None,
            (Some(Schema::Named(schema)), _) => Some(Arc::clone(schema)),
            (_, None) => Some(PUBLIC.into()),
            (_, Some(tenant)) => qualifies.then(|| tenant.as_str().into()),
        };
        let name = metadata.table_name.clone().unwrap_or_else(|| definition.table.into());
        let by_path = schema.is_none() && kind == DatabaseKind::Postgres;
        let pinned = matches!(metadata.schema, Some(Schema::Named(_)));
        let table = Self { definition, metadata, name, schema, pinned, by_path };
        table.check()?;
        Ok(table)
    }

    /// PostgreSQL would cut a name that is too long, and find another table.
    fn check(&self) -> Result<(), Error> {
        let columns = self.definition.columns.iter().map(|column| ("a column", self.column_name(column)));
        let names = [("the table", &*self.name)].into_iter().chain(columns);
        let schema = self.schema.iter().map(|schema| ("the schema", &**schema));
        for (what, name) in schema.chain(names) {
            if name.is_empty() || name.len() > ident::MAX_BYTES || name.contains('\0') {
                let name = name.chars().take(80).collect();
                return Err(Error::Name { entity: self.definition.name, what, name });
            }
        }
        Ok(())
    }

    /// The column's name for this tenant.
    pub(crate) fn column_name(&self, column: &'static ColumnDefinition) -> &str {
        self.metadata.column(column.field).unwrap_or(column.name)
    }

    /// The name of the column that its definition calls so.
    pub(crate) fn renamed<'t>(&'t self, name: &'t str) -> &'t str {
        let column = self.definition.columns.iter().find(|column| column.name == name);
        column.map_or(name, |column| self.column_name(column))
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &'static ColumnDefinition> {
        self.definition.columns.iter().filter(|column| column.primary_key)
    }

    /// Its schema and its name, where both are written.
    pub(crate) fn qualified(&self) -> Option<(Arc<str>, Arc<str>)> {
        Some((Arc::clone(self.schema.as_ref()?), Arc::clone(&self.name)))
    }

    /// Writes the table's name.
    pub(crate) fn write(&self, sql: &mut Sql<'_>) {
        if let Some(schema) = &self.schema {
            sql.name(schema).push(".");
        }
        sql.name(&self.name);
    }

    /// Writes the name of a column, with the table's alias if it has one.
    pub(crate) fn write_column(
        &self,
        sql: &mut Sql<'_>,
        alias: Option<&str>,
        column: &'static ColumnDefinition,
    ) {
        if let Some(alias) = alias {
            sql.push(alias).push(".");
        }
        sql.name(self.column_name(column));
    }

    /// Writes that a row is not deleted, behind another condition, where the entity keeps those that are.
    pub(crate) fn write_alive(&self, sql: &mut Sql<'_>, alias: Option<&str>) {
        if let Some(column) = self.definition.columns.iter().find(|column| column.deleted) {
            self.write_column(sql.push(" AND "), alias, column);
            sql.push(" IS NULL");
        }
    }

    /// Writes the names of all its columns.
    pub(crate) fn write_columns(&self, sql: &mut Sql<'_>, alias: Option<&str>) {
        sql.list(self.definition.columns, ", ", |sql, column| self.write_column(sql, alias, column));
    }
}

/// The column of a constant that the derive wrote.
pub(crate) fn column(
    definition: &'static EntityDefinition,
    index: usize,
) -> Result<&'static ColumnDefinition, Error> {
    definition.columns.get(index).ok_or_else(|| missing(definition, "column", index))
}

/// The column that a relation goes by.
pub(crate) fn column_named(
    definition: &'static EntityDefinition,
    name: &str,
) -> Result<&'static ColumnDefinition, Error> {
    let column = definition.columns.iter().find(|column| column.name == name);
    column.ok_or_else(|| {
        Error::Options(format!("a relation of {} goes by the column {name}, which it lacks", definition.name))
    })
}

/// The relation of a constant that the derive wrote.
pub(crate) fn relation(
    definition: &'static EntityDefinition,
    index: usize,
) -> Result<&'static RelationDefinition, Error> {
    definition.relations.get(index).ok_or_else(|| missing(definition, "relation", index))
}

fn missing(definition: &'static EntityDefinition, what: &str, index: usize) -> Error {
    Error::Options(format!("entity {} has no {what} number {index}", definition.name))
}
