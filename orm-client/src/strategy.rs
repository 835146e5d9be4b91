//! How a statement reaches the tenant's schema.

use std::fmt;

use pgstrata_tenancy::{Strategy, TenantId, ident};

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
    fn enter(&self, path: &[&str]) -> Option<String>;

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

    fn enter(&self, path: &[&str]) -> Option<String> {
        Some(set_path(path))
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

    fn enter(&self, path: &[&str]) -> Option<String> {
        Some(set_path(path))
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
        let mut mark = String::from("/*tenant='");
        for byte in tenant.as_str().bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'-' => mark.push(char::from(byte)),
                other => mark += &format!("%{other:02X}"),
            }
        }
        mark + "'*/ "
    }

    fn guards_sessions(&self) -> bool {
        false
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

    fn enter(&self, path: &[&str]) -> Option<String> {
        Some(set_path(path))
    }
}

fn set_path(path: &[&str]) -> String {
    format!("SET LOCAL search_path TO {}", ident::search_path(path.iter().copied()))
}
