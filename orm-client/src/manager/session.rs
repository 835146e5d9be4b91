//! What can be asked, of the pool or in a transaction.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use pgstrata_tenancy::TenantId;
use pgstrata_tenancy::layers::PUBLIC;

use super::Shared;
use super::transaction::Open;
use crate::Error;
use crate::context::{Caller, MetadataContext, Tenant};
use crate::entity::EntityDefinition;
use crate::sql::Sql;
use crate::table::{Scope, Table, Whose};
use crate::{DatabaseKind, MissingTenant, layers};

/// What an [`EntityManager`](super::EntityManager) and a [`Transaction`](super::Transaction) have in common: code that takes a `&Session` works with both.
///
/// Each call is for the tenant of the [`MetadataContext`] that it is made in.
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// async fn is_empty(session: &Session) -> Result<bool, Error> {
///     Ok(!session.exists::<User>().await?)
/// }
///
/// # async fn example(em: EntityManager) -> Result<(), Error> {
/// is_empty(&em).await?;
/// let tx = em.begin().await?;
/// is_empty(&tx).await?;
/// # Ok(())
/// # }
/// ```
pub struct Session {
    pub(super) shared: Arc<Shared>,
    /// The tenant that it is of, whatever the context.
    pub(super) bound: Option<Tenant>,
    /// The transaction that all of it runs in.
    pub(super) open: Option<Open>,
    /// Rows of all tenants are meant, by a strategy with a tenant's column.
    pub(super) unscoped: bool,
}

impl Clone for Session {
    // A manager's, or a tenant's: there is no way to clone a transaction.
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            bound: self.bound.clone(),
            open: None,
            unscoped: self.unscoped,
        }
    }
}

/// Whose rows are meant: a tenant's, or nobody's.
#[derive(Clone)]
pub(crate) struct Place {
    tenant: Option<TenantId>,
    /// Somebody has said so: by a context, or by the session.
    said: bool,
    unscoped: bool,
}

impl Place {
    pub(super) fn name(&self) -> &str {
        self.tenant.as_ref().map_or(PUBLIC, TenantId::as_str)
    }

    pub(super) fn tenant(&self) -> Option<&TenantId> {
        self.tenant.as_ref()
    }

    /// Whether rows of all tenants are meant.
    pub(super) fn is_unscoped(&self) -> bool {
        self.unscoped
    }

    /// Whether somebody has said whose rows are meant.
    pub(super) fn is_said(&self) -> bool {
        self.said
    }
}

/// A session, and the context in which something was asked of it.
#[derive(Clone, Debug)]
pub(crate) struct Call<'s> {
    session: &'s Session,
    caller: Caller,
}

impl Call<'_> {
    /// Whose rows are meant.
    pub(crate) fn place(&self) -> Result<Place, Error> {
        self.session.place(&self.caller)
    }
}

impl Deref for Call<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session
    }
}

impl Session {
    pub(super) fn pooled(shared: Arc<Shared>, bound: Option<Tenant>) -> Self {
        Self { shared, bound, open: None, unscoped: false }
    }

    /// Another one's call, on this session.
    pub(super) fn call_of(&self, other: &Call<'_>) -> Call<'_> {
        Call { session: self, caller: other.caller.clone() }
    }

    /// A call of now.
    pub(crate) fn call(&self) -> Call<'_> {
        Call { session: self, caller: Caller::now() }
    }

    /// Whether this is a transaction's.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// assert!(!em.is_transaction());
    /// assert!(em.begin().await?.is_transaction());
    /// # Ok(())
    /// # }
    /// ```
    pub fn is_transaction(&self) -> bool {
        self.open.is_some()
    }

    /// The metadata of the session's tenant, or of the context's: see [`EntityManager::metadata`](super::EntityManager::metadata).
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let acme = em.tenant("acme");
    /// acme.metadata()?.set("User", EntityMetadata::table("customers"))?;
    /// assert!(acme.find::<User>().sql()?.ends_with(r#"FROM "customers""#));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The name can be no tenant's.
    pub fn metadata(&self) -> Result<super::Metadata, layers::LayerError> {
        let tenant = self.bound.clone().unwrap_or_else(MetadataContext::current_tenant);
        super::Metadata::new(&self.shared.store, tenant.as_str())
    }

    /// Whose rows a call means.
    fn place(&self, caller: &Caller) -> Result<Place, Error> {
        let said = match &self.bound {
            Some(bound) => Some(bound.clone()),
            None => caller.tenant()?,
        };
        let place = Place {
            said: said.is_some(),
            tenant: self.checked(said.unwrap_or(Tenant::PUBLIC))?,
            unscoped: self.unscoped,
        };
        match &self.open {
            Some(open) if open.place.tenant != place.tenant => Err(Error::TenantChanged {
                transaction: open.place.name().into(),
                context: place.name().into(),
            }),
            _ => Ok(place),
        }
    }

    fn checked(&self, tenant: Tenant) -> Result<Option<TenantId>, Error> {
        let checked = tenant.check()?;
        // Nobody's own schema may well be one that all share.
        if checked.is_some() && self.shared.options.shared.iter().any(|shared| tenant == shared.as_str()) {
            return Err(Error::Reserved(tenant.to_string()));
        }
        Ok(checked.cloned())
    }

    /// What the database is.
    pub(crate) fn kind(&self) -> DatabaseKind {
        self.shared.options.kind
    }

    /// What is not the same for all may be asked for: somebody has said whose it is, or need not.
    pub(super) fn require_tenant(&self, place: &Place, what: impl FnOnce() -> String) -> Result<(), Error> {
        match (place.said, self.shared.options.missing_tenant) {
            (false, MissingTenant::Reject) => return Err(Error::NoTenant(what())),
            (false, MissingTenant::Public) => self.shared.stray.fallen(what),
            (true, _) if place.tenant.is_some() => self.shared.stray.used(),
            (true, _) => {}
        }
        Ok(())
    }

    /// A statement with nothing in it but what tells whose it is.
    pub(crate) fn sql<'v>(&self, place: &Place) -> Sql<'v> {
        let mark = match self.kind() {
            DatabaseKind::Postgres => place.tenant().map(|tenant| self.strategy().mark(tenant)),
            _ => None,
        };
        Sql::new(mark.unwrap_or_default(), self.kind())
    }

    /// In which schema the tables of a place are named, if their names say it: all tenants' where a column tells them apart.
    fn schema<'p>(&self, place: &'p Place) -> Whose<'p> {
        match (self.strategy().tenant_column(), place.tenant()) {
            (Some(_), _) | (None, None) => Whose::Public,
            (None, Some(tenant)) if self.strategy().qualifies() => Whose::Tenant(tenant),
            (None, Some(_)) => Whose::OnThePath,
        }
    }

    /// What keeps statements to the rows of the place's tenant. Tables that are pinned to a schema are everybody's.
    fn scope(&self, place: &Place, definition: &EntityDefinition) -> Option<Scope> {
        let column = self.strategy().tenant_column().filter(|_| definition.schema.is_none())?;
        Some(Scope { column, tenant: (!place.unscoped).then(|| place.name().into()) })
    }

    /// The table of an entity as the tenant sees it.
    pub(crate) fn table(&self, place: &Place, definition: &'static EntityDefinition) -> Result<Table, Error> {
        let metadata = self.shared.store.get_in(place.name(), definition.name);
        let metadata = metadata.ok_or(Error::Unregistered(definition.name))?;
        let scope = self.scope(place, definition);
        let table = Table::new(definition, metadata, self.schema(place), self.kind(), scope)?;
        if !table.pinned {
            self.require_tenant(place, || definition.name.to_owned())?;
        }
        Ok(table)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("transaction", &self.is_transaction()).finish_non_exhaustive()
    }
}
