//! How a statement reaches the tenant's schema.

mod database;

use std::fmt;

use pgstrata_tenancy::{Strategy, TenantId, comment, ident};

pub use database::DatabaseStrategy;

/// How a statement reaches the tenant's schema. All ways give the same rows; they differ in what goes over the wire.
///
/// Values are bound parameters whatever a strategy does. What it writes into SQL, it quotes.
///
/// ```
/// use pgstrata_orm::{SearchPathStrategy, TenantQueryStrategy};
///
/// /// By the search path, with PostgreSQL's privileges beside it.
/// #[derive(Debug)]
/// struct WithRole;
///
/// impl TenantQueryStrategy for WithRole {
///     fn name(&self) -> &'static str {
///         "with_role"
///     }
///     fn qualifies(&self) -> bool {
///         false
///     }
///     fn read_in_transaction(&self) -> bool {
///         true
///     }
///     fn enter(&self, path: &[&str]) -> Option<String> {
///         let path = SearchPathStrategy.enter(path)?;
///         Some(format!("{path}; SET LOCAL ROLE app_tenant"))
///     }
/// }
/// ```
pub trait TenantQueryStrategy: fmt::Debug + Send + Sync + 'static {
    /// Its name, for people.
    ///
    /// ```
    /// # use pgstrata_orm::{ProxyStrategy, SearchPathStrategy, Strategy, TenantQueryStrategy};
    /// assert_eq!(SearchPathStrategy.name(), Strategy::SearchPath.name());
    /// assert_eq!(ProxyStrategy.name(), "proxy");
    /// ```
    fn name(&self) -> &'static str;

    /// Whether names of the tenant's tables are written with its schema.
    ///
    /// ```
    /// # use pgstrata_orm::{SchemaQualifiedStrategy, SearchPathStrategy, TenantQueryStrategy};
    /// assert!(SchemaQualifiedStrategy.qualifies(), r#"FROM "acme_corp"."users""#);
    /// assert!(!SearchPathStrategy.qualifies(), r#"FROM "users""#);
    /// ```
    fn qualifies(&self) -> bool;

    /// Whether a single read needs a transaction around it. One that is limited in time always has one.
    ///
    /// ```
    /// # use pgstrata_orm::{SchemaQualifiedStrategy, SearchPathStrategy, TenantQueryStrategy};
    /// // The path is set for a transaction.
    /// assert!(SearchPathStrategy.read_in_transaction());
    /// assert!(!SchemaQualifiedStrategy.read_in_transaction());
    /// ```
    fn read_in_transaction(&self) -> bool;

    /// Whether a single write needs a transaction around it. One that is limited in time always has one.
    ///
    /// ```
    /// # use pgstrata_orm::{ProxyStrategy, SchemaQualifiedStrategy, TenantQueryStrategy};
    /// // A trigger's names go by the path, whatever the statement's do.
    /// assert!(SchemaQualifiedStrategy.write_in_transaction());
    /// assert!(!ProxyStrategy.write_in_transaction());
    /// ```
    fn write_in_transaction(&self) -> bool {
        true
    }

    /// What goes behind `BEGIN` in each transaction, and holds until its end. `path` is the tenant's schema and those that
    /// all tenants share.
    ///
    /// ```
    /// # use pgstrata_orm::{ProxyStrategy, SchemaQualifiedStrategy, TenantQueryStrategy};
    /// let enter = SchemaQualifiedStrategy.enter(&["acme \"corp\""]);
    /// assert_eq!(enter.as_deref(), Some(r#"SET LOCAL search_path TO "acme ""corp""""#));
    /// assert_eq!(ProxyStrategy.enter(&["acme_corp"]), None);
    /// ```
    fn enter(&self, path: &[&str]) -> Option<String> {
        Some(set_path(path))
    }

    /// What goes in front of each statement's text.
    ///
    /// ```
    /// # use pgstrata_orm::{ProxyStrategy, SearchPathStrategy, TenantId, TenantIdError, TenantQueryStrategy};
    /// let acme = TenantId::new("acme_corp")?;
    /// assert_eq!(ProxyStrategy.mark(&acme), "/*tenant='acme_corp'*/ ");
    /// assert_eq!(SearchPathStrategy.mark(&acme), "");
    /// # Ok::<(), TenantIdError>(())
    /// ```
    fn mark(&self, _tenant: &TenantId) -> String {
        String::new()
    }

    /// Whether the connections' own sessions are set up to fail where a statement comes without its transaction. A
    /// server that does not take start-up options can't have it.
    ///
    /// ```
    /// # use pgstrata_orm::{ProxyStrategy, SearchPathStrategy, TenantQueryStrategy};
    /// assert!(SearchPathStrategy.guards_sessions());
    /// // Its sessions are the proxy's to set up.
    /// assert!(!ProxyStrategy.guards_sessions());
    /// ```
    fn guards_sessions(&self) -> bool {
        true
    }

    /// The column by which rows of all tenants, in the same tables, are told apart. `None`: each tenant has tables of its own.
    ///
    /// ```
    /// # use pgstrata_orm::{SearchPathStrategy, TenantColumnStrategy, TenantQueryStrategy};
    /// assert_eq!(TenantColumnStrategy::default().tenant_column(), Some("tenant_id"));
    /// assert_eq!(SearchPathStrategy.tenant_column(), None);
    /// ```
    fn tenant_column(&self) -> Option<&'static str> {
        None
    }

    /// Which databases the tenants have. `None`: all are in one.
    ///
    /// ```
    /// # use pgstrata_orm::{DatabaseStrategy, SearchPathStrategy, TenantQueryStrategy};
    /// assert!(DatabaseStrategy::new(|_| None).databases().is_some());
    /// assert!(SearchPathStrategy.databases().is_none());
    /// ```
    fn databases(&self) -> Option<&DatabaseStrategy> {
        None
    }
}

/// Whether tenants' tables are in the schema public, of one database or of several: they have no schemas of their own.
pub(crate) fn is_in_public(strategy: &dyn TenantQueryStrategy) -> bool {
    strategy.tenant_column().is_some() || strategy.databases().is_some()
}

/// Sets the path for exactly the transaction that a statement runs in.
///
/// ```
/// use pgstrata_orm::{SearchPathStrategy, TenantQueryStrategy};
///
/// let enter = SearchPathStrategy.enter(&["acme_corp", "extensions"]);
/// assert_eq!(enter.as_deref(), Some(r#"SET LOCAL search_path TO "acme_corp", "extensions""#));
/// assert!(SearchPathStrategy.read_in_transaction() && !SearchPathStrategy.qualifies());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SearchPathStrategy;

impl TenantQueryStrategy for SearchPathStrategy {
    fn name(&self) -> &'static str {
        Strategy::SearchPath.as_str()
    }

    fn qualifies(&self) -> bool {
        false
    }

    fn read_in_transaction(&self) -> bool {
        true
    }
}

/// Writes the schema into the names. Reads need no transaction; in those of writes the path is set too, for what triggers and
/// defaults name.
///
/// ```
/// use pgstrata_orm::{SchemaQualifiedStrategy, TenantQueryStrategy};
///
/// assert!(SchemaQualifiedStrategy.qualifies() && !SchemaQualifiedStrategy.read_in_transaction());
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct SchemaQualifiedStrategy;

impl TenantQueryStrategy for SchemaQualifiedStrategy {
    fn name(&self) -> &'static str {
        Strategy::SchemaQualified.as_str()
    }

    fn qualifies(&self) -> bool {
        true
    }

    fn read_in_transaction(&self) -> bool {
        false
    }
}

/// Tells a pgstrata proxy whose each statement is, and leaves the rest to it.
///
/// The name stands in a comment in front of the text, which the proxy reads, and which can't be parted from the statement: a `SET
/// tenant` sent ahead could fail and leave the statement with the tenant of before. So nothing of a tenant's stays in a session, and one
/// pool serves all of them.
///
/// ```
/// use pgstrata_orm::{ProxyStrategy, TenantId, TenantQueryStrategy};
///
/// # fn main() -> Result<(), pgstrata_orm::TenantIdError> {
/// assert_eq!(ProxyStrategy.mark(&TenantId::new("acme_corp")?), "/*tenant='acme_corp'*/ ");
/// assert_eq!(ProxyStrategy.mark(&TenantId::new("a'*/é")?), "/*tenant='a%27%2A%2F%C3%A9'*/ ");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ProxyStrategy;

impl TenantQueryStrategy for ProxyStrategy {
    fn name(&self) -> &'static str {
        "proxy"
    }

    fn qualifies(&self) -> bool {
        false
    }

    fn read_in_transaction(&self) -> bool {
        false
    }

    fn write_in_transaction(&self) -> bool {
        false
    }

    fn enter(&self, _path: &[&str]) -> Option<String> {
        None
    }

    fn mark(&self, tenant: &TenantId) -> String {
        comment::of(tenant.as_str())
    }

    fn guards_sessions(&self) -> bool {
        false
    }
}

/// All tenants' rows in the same tables, told apart by a column: on every database.
///
/// The column is in each table that is not pinned to a schema. It is filled on insert, and in the conditions of every statement: of what is
/// read, changed and deleted, of each table of a join, of what conflicts. A field of the same column is filled and checked: another
/// tenant's name in it is an [`Error::OtherTenant`](crate::Error::OtherTenant). [`Options::synchronize`](crate::Options::synchronize)
/// puts it in front of keys, indexes and foreign keys, so that tenants have names and keys of their own, and no row belongs to
/// another tenant's.
///
/// SQL of the application's own has no such condition, so it is refused but in [`Session::without_tenant_scope`](crate::Session::without_tenant_scope).
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// use pgstrata_orm::TenantColumnStrategy;
///
/// # let em = manager_with(options().tenant_strategy(TenantColumnStrategy::new("org")));
/// let sql = em.tenant("acme").find::<User>().where_(User::NAME.like("A%")).sql()?;
/// assert!(sql.ends_with(r#"FROM "public"."users" WHERE "org" = $1 AND "name" LIKE $2"#));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TenantColumnStrategy {
    column: &'static str,
}

impl TenantColumnStrategy {
    /// By a column of this name.
    ///
    /// ```
    /// use pgstrata_orm::{TenantColumnStrategy, TenantQueryStrategy};
    ///
    /// assert_eq!(TenantColumnStrategy::new("org").tenant_column(), Some("org"));
    /// ```
    pub const fn new(column: &'static str) -> Self {
        Self { column }
    }
}

impl Default for TenantColumnStrategy {
    /// By `tenant_id`.
    fn default() -> Self {
        Self::new("tenant_id")
    }
}

impl TenantQueryStrategy for TenantColumnStrategy {
    fn name(&self) -> &'static str {
        "tenant_column"
    }

    fn qualifies(&self) -> bool {
        true
    }

    fn read_in_transaction(&self) -> bool {
        false
    }

    fn tenant_column(&self) -> Option<&'static str> {
        Some(self.column)
    }
}

/// By name, as in a configuration file.
impl TenantQueryStrategy for Strategy {
    fn name(&self) -> &'static str {
        self.as_str()
    }

    fn qualifies(&self) -> bool {
        *self == Strategy::SchemaQualified
    }

    fn read_in_transaction(&self) -> bool {
        *self == Strategy::SearchPath
    }
}

fn set_path(path: &[&str]) -> String {
    format!("SET LOCAL search_path TO {}", ident::search_path(path.iter().copied()))
}
