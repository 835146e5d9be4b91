//! Rows of all tenants in the same tables, told apart by a column: what tables look like then, and how all of them are meant at once.

use pgstrata_tenancy::ident;

use super::EntityManager;
use crate::entity::{ColumnDefinition, EntityDefinition};
use crate::{Error, Session, support};

impl EntityManager {
    /// Runs code on a session that means the rows of all tenants, for strategies with a
    /// [`tenant_column`](crate::TenantQueryStrategy::tenant_column): what it reads, changes and deletes is everybody's, and SQL of the
    /// application's own is taken. A row that it inserts says itself whose it is, in a field for the column.
    ///
    /// The context stays as it is: only the session that the code is given is without a scope. `tracing` is told of each.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let users: u64 = em.without_tenant_scope(async |all| all.count::<User>().await).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of the code, and [`Error::Options`] where each tenant has tables of its own.
    pub async fn without_tenant_scope<T, F, X>(&self, code: F) -> Result<T, X>
    where
        F: AsyncFnOnce(&Session) -> Result<T, X>,
        X: From<Error>,
    {
        if self.strategy().tenant_column().is_none() {
            let what =
                "each tenant has tables of its own, so there is no scope to leave: see read_across_tenants";
            return Err(Error::Options(what.into()).into());
        }
        tracing::info!("rows of all tenants are meant: without_tenant_scope");
        code(&self.unscoped()).await
    }
}

/// Whether a column can have the name.
///
/// # Errors
/// It can't.
pub(super) fn check(name: &str) -> Result<(), Error> {
    match name.is_empty() || name.len() > ident::MAX_BYTES || name.contains('\0') {
        true => Err(Error::Options(format!("the tenant's column can't be called {name:?}"))),
        false => Ok(()),
    }
}

/// An entity's table, as it is created.
pub(crate) struct Layout {
    pub(crate) entity: &'static EntityDefinition,
    /// Its columns, that for the tenant's name among them.
    pub(crate) columns: Vec<ColumnDefinition>,
    /// The column that tells tenants apart, if the table has all tenants' rows.
    pub(crate) tenant: Option<&'static str>,
}

impl Layout {
    /// That of an entity, by the strategy's column.
    pub(crate) fn new(entity: &'static EntityDefinition, column: Option<&'static str>) -> Self {
        let tenant = column.filter(|_| entity.schema.is_none());
        let mut columns = entity.columns.to_vec();
        let hidden = tenant.filter(|name| !columns.iter().any(|column| column.name == *name));
        columns.extend(hidden.map(|name| support::column::<String>(name, name)));
        for column in columns.iter_mut().filter(|column| tenant == Some(column.name)) {
            // Whoever's row it is, it is somebody's.
            column.nullable = false;
        }
        Self { entity, columns, tenant }
    }

    /// Names of columns that tell rows apart together: each tenant has names and keys of its own.
    pub(crate) fn of_one_tenant<'l>(&'l self, columns: impl IntoIterator<Item = &'l str>) -> Vec<&'l str> {
        let columns = columns.into_iter().filter(|column| self.tenant != Some(*column));
        self.tenant.iter().copied().chain(columns).collect()
    }

    /// Whether this one column tells rows apart by itself.
    pub(crate) fn is_alone(&self, column: &ColumnDefinition) -> bool {
        self.tenant.is_none() || self.tenant == Some(column.name)
    }
}
