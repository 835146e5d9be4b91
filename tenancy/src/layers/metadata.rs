//! One entry: a layer's data about a table.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Where a table is.
///
/// ```
/// use pgstrata_tenancy::layers::{EntityMetadata, Schema};
///
/// let shared = EntityMetadata::table("plans").in_schema(Schema::Named("public".into()));
/// let own = EntityMetadata::default().in_schema(Schema::Own);
/// assert_eq!(own.over(&shared).schema, Some(Schema::Own));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Schema {
    /// In the schema of the tenant that asks.
    Own,
    /// In this schema, for every tenant.
    Named(Arc<str>),
}

/// A layer's data about a table. Parts that it omits come from the public layer.
///
/// ```
/// use pgstrata_tenancy::layers::EntityMetadata;
///
/// let public = EntityMetadata::table("users").with_column("email", "email");
/// let tenant = EntityMetadata::table("enterprise_users");
/// let seen = tenant.over(&public);
/// assert_eq!(seen.table_name.as_deref(), Some("enterprise_users"));
/// assert_eq!(seen.column("email"), Some("email"));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EntityMetadata {
    /// The table's name.
    pub table_name: Option<Arc<str>>,
    /// Where it is.
    pub schema: Option<Schema>,
    /// Its columns, by the field's name.
    pub columns: BTreeMap<Arc<str>, ColumnMetadata>,
}

/// A layer's data about a column.
///
/// ```
/// use pgstrata_tenancy::layers::{ColumnMetadata, EntityMetadata};
///
/// let mut user = EntityMetadata::table("users").with_column("email", "e_mail");
/// assert_eq!(user.columns["email"].name.as_deref(), Some("e_mail"));
/// // Nothing is known of it here: the public layer's name counts.
/// user.columns.insert("email".into(), ColumnMetadata::default());
/// assert_eq!(user.column("email"), None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnMetadata {
    /// The column's name.
    pub name: Option<Arc<str>>,
}

impl EntityMetadata {
    /// Of a table with this name, and nothing else.
    ///
    /// ```
    /// # use pgstrata_tenancy::layers::EntityMetadata;
    /// let user = EntityMetadata::table("users");
    /// assert_eq!(user.table_name.as_deref(), Some("users"));
    /// assert!(user.schema.is_none() && user.columns.is_empty());
    /// ```
    pub fn table(name: &str) -> Self {
        Self { table_name: Some(name.into()), ..Self::default() }
    }

    /// The same, in this schema.
    ///
    /// ```
    /// # use pgstrata_tenancy::layers::{EntityMetadata, Schema};
    /// let plan = EntityMetadata::table("plans").in_schema(Schema::Named("billing".into()));
    /// assert_eq!(plan.schema, Some(Schema::Named("billing".into())));
    /// ```
    #[must_use]
    pub fn in_schema(mut self, schema: Schema) -> Self {
        self.schema = Some(schema);
        self
    }

    /// The same, with the column name of a field.
    ///
    /// ```
    /// # use pgstrata_tenancy::layers::EntityMetadata;
    /// let legacy = EntityMetadata::default().with_column("email", "mail_addr").with_column("name", "full_name");
    /// assert_eq!(legacy.columns.len(), 2);
    /// ```
    #[must_use]
    pub fn with_column(mut self, field: &str, name: &str) -> Self {
        self.columns.insert(field.into(), ColumnMetadata { name: Some(name.into()) });
        self
    }

    /// The column name of a field, if it is known.
    ///
    /// ```
    /// # use pgstrata_tenancy::layers::EntityMetadata;
    /// let legacy = EntityMetadata::default().with_column("email", "mail_addr");
    /// assert_eq!(legacy.column("email"), Some("mail_addr"));
    /// assert_eq!(legacy.column("name"), None);
    /// ```
    pub fn column(&self, field: &str) -> Option<&str> {
        self.columns.get(field)?.name.as_deref()
    }

    /// This entry's parts, and those of `below` where it has none.
    ///
    /// ```
    /// # use pgstrata_tenancy::layers::EntityMetadata;
    /// let public = EntityMetadata::table("users").with_column("name", "name").with_column("email", "email");
    /// let tenant = EntityMetadata::default().with_column("email", "mail_addr");
    /// let seen = tenant.over(&public);
    /// assert_eq!((seen.column("name"), seen.column("email")), (Some("name"), Some("mail_addr")));
    /// ```
    #[must_use]
    pub fn over(&self, below: &Self) -> Self {
        let mut columns = below.columns.clone();
        for (field, column) in &self.columns {
            let merged = columns.entry(Arc::clone(field)).or_default();
            if let Some(name) = &column.name {
                merged.name = Some(Arc::clone(name));
            }
        }
        Self {
            table_name: self.table_name.clone().or_else(|| below.table_name.clone()),
            schema: self.schema.clone().or_else(|| below.schema.clone()),
            columns,
        }
    }
}
