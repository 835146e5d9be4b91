//! Where an entity's rows are, for the tenant that asks.

use std::sync::Arc;

use bytes::BytesMut;
use pgstrata_tenancy::layers::{EntityMetadata, PUBLIC, Schema};
use pgstrata_tenancy::{TenantId, ident};
use tokio_postgres::types::{IsNull, Type};

use crate::entity::{ColumnDefinition, EntityDefinition, Parameter, RelationDefinition};
use crate::sql::Sql;
use crate::{DatabaseKind, Error};

/// Where a table is.
#[derive(Clone, Copy)]
pub(crate) enum Whose<'t> {
    /// In public.
    Public,
    /// In the tenant's schema, which is written in front of its name.
    Tenant(&'t TenantId),
    /// Wherever the path leads.
    OnThePath,
}

/// What keeps a statement to one tenant's rows of a table that has those of all.
#[derive(Clone)]
pub(crate) struct Scope {
    /// The column that has a tenant's name.
    pub(crate) column: &'static str,
    /// The tenant; `None` where all are meant.
    pub(crate) tenant: Option<String>,
}

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
    /// Whose rows of it are meant, if it has those of all tenants.
    scope: Option<Scope>,
}

impl Table {
    /// The table of `definition` as `metadata` have it for `tenant`, or for nobody in particular. Only PostgreSQL has schemas.
    pub(crate) fn new(
        definition: &'static EntityDefinition,
        metadata: Arc<EntityMetadata>,
        whose: Whose<'_>,
        kind: DatabaseKind,
        scope: Option<Scope>,
    ) -> Result<Self, Error> {
        let schema: Option<Arc<str>> = match (&metadata.schema, whose) {
            _ if kind != DatabaseKind::Postgres => None,
            (Some(Schema::Named(schema)), _) => Some(Arc::clone(schema)),
            (_, Whose::Public) => Some(PUBLIC.into()),
            (_, Whose::Tenant(tenant)) => Some(tenant.as_str().into()),
            (_, Whose::OnThePath) => None,
        };
        let name = metadata.table_name.clone().unwrap_or_else(|| definition.table.into());
        let by_path = schema.is_none() && kind == DatabaseKind::Postgres;
        let pinned = matches!(metadata.schema, Some(Schema::Named(_)));
        let table = Self { definition, metadata, name, schema, pinned, by_path, scope };
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

    /// The condition that its rows are the tenant's, behind `before`; says whether there is one.
    pub(crate) fn write_scope(&self, sql: &mut Sql<'_>, before: &str, alias: Option<&str>) -> bool {
        let Some(Scope { column, tenant: Some(tenant) }) = &self.scope else { return false };
        sql.push(before);
        if let Some(alias) = alias {
            sql.push(alias).push(".");
        }
        sql.name(column).push(" = ").bind_tenant(tenant);
        true
    }

    /// Whether this is the column that tells tenants apart.
    pub(crate) fn is_tenants(&self, column: &'static ColumnDefinition) -> bool {
        self.scope.as_ref().is_some_and(|scope| scope.column == self.column_name(column))
    }

    /// The column that tells tenants apart.
    pub(crate) fn tenant_column(&self) -> Option<&'static str> {
        Some(self.scope.as_ref()?.column)
    }

    /// The tenant whose rows of all tenants' are meant.
    pub(crate) fn tenant(&self) -> Option<&String> {
        self.scope.as_ref()?.tenant.as_ref()
    }

    /// What tells tenants apart, in a table whose entity has no field for it.
    pub(crate) fn hidden_tenant(&self) -> Option<&Scope> {
        let scope = self.scope.as_ref()?;
        let shown = self.definition.columns.iter().any(|column| self.is_tenants(column));
        (!shown).then_some(scope)
    }

    /// Whose a new row is.
    ///
    /// # Errors
    /// [`Error::Unscoped`]: of all tenants' none is said.
    pub(crate) fn owner<'s>(&self, scope: &'s Scope) -> Result<&'s str, Error> {
        let none = || Error::Unscoped(format!("a new row of {}", self.definition.name));
        scope.tenant.as_deref().ok_or_else(none)
    }

    /// Whose a row is to be by the value of its field for that. An empty one says nothing.
    ///
    /// # Errors
    /// [`Error::OtherTenant`], and [`Error::Unscoped`] where nothing says it.
    pub(crate) fn owner_by<'s>(&'s self, value: Parameter<'_>) -> Result<Option<&'s str>, Error> {
        let Some(scope) = &self.scope else { return Ok(None) };
        let mut found = BytesMut::new();
        let said = value.to_sql_checked(&Type::TEXT, &mut found).map(|null| matches!(null, IsNull::No));
        let entity = self.definition.name;
        let Ok(said) = said else {
            return Err(Error::Options(format!(
                "the field of {entity} for the tenant's name has to be a text"
            )));
        };
        match &scope.tenant {
            // Of all tenants' rows, this is the one's that it says.
            None if said && !found.is_empty() => Ok(None),
            None => self.owner(scope).map(Some),
            Some(tenant) if !said || found.is_empty() || *found == *tenant.as_bytes() => Ok(Some(tenant)),
            Some(tenant) => Err(Error::OtherTenant {
                entity,
                found: String::from_utf8_lossy(&found).into_owned(),
                tenant: tenant.clone(),
            }),
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
