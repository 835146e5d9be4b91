//! A database for each tenant.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::TenantQueryStrategy;

/// Which database is a tenant's.
type UrlOf = dyn Fn(&str) -> Option<String> + Send + Sync;

/// A database for each tenant, with connections of its own: on every database.
///
/// The manager's own database has what is public. Each tenant's has all the tables, those that are pinned to a schema as well:
/// [`EntityManager::synchronize_database`](crate::EntityManager::synchronize_database) makes them. A tenant that has none is an
/// [`Error::NoDatabase`](crate::Error::NoDatabase). Connections to a database that nobody has used for a while are closed.
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// use pgstrata_orm::DatabaseStrategy;
///
/// let strategy = DatabaseStrategy::new(|tenant| {
///     let known = ["acme", "globex"].contains(&tenant);
///     known.then(|| format!("postgres://app@db.example/{tenant}"))
/// });
/// # let em = manager_with(options().tenant_strategy(strategy));
/// let sql = em.tenant("acme").find::<User>().sql()?;
/// assert!(sql.ends_with(r#"FROM "users""#));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct DatabaseStrategy {
    url_of: Arc<UrlOf>,
    idle: Duration,
    most: usize,
}

impl DatabaseStrategy {
    /// The function gives the URL of a tenant's database, as [`Options::url`](crate::Options::url) takes it.
    ///
    /// ```
    /// let strategy = pgstrata_orm::DatabaseStrategy::new(|tenant| Some(format!("sqlite://data/{tenant}.db")));
    /// ```
    pub fn new(url_of: impl Fn(&str) -> Option<String> + Send + Sync + 'static) -> Self {
        Self { url_of: Arc::new(url_of), idle: Duration::from_secs(300), most: 100 }
    }

    /// Tenants, and the URLs of their databases.
    ///
    /// ```
    /// let strategy = pgstrata_orm::DatabaseStrategy::of([("acme", "postgres://app@a.example/acme")]);
    /// ```
    pub fn of<T: Into<String>, U: Into<String>>(databases: impl IntoIterator<Item = (T, U)>) -> Self {
        let databases: BTreeMap<String, String> =
            databases.into_iter().map(|(tenant, url)| (tenant.into(), url.into())).collect();
        Self::new(move |tenant| databases.get(tenant).cloned())
    }

    /// How long nobody uses a database until its connections are closed: five minutes, if nothing is said.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # let strategy = pgstrata_orm::DatabaseStrategy::new(|_| None);
    /// let strategy = strategy.idle(Duration::from_secs(60));
    /// ```
    pub fn idle(mut self, time: Duration) -> Self {
        self.idle = time;
        self
    }

    /// How many databases have connections at once: 100, if nothing is said. One more closes those that have been idle the longest.
    ///
    /// ```
    /// # let strategy = pgstrata_orm::DatabaseStrategy::new(|_| None);
    /// let strategy = strategy.max_databases(20);
    /// ```
    pub fn max_databases(mut self, count: usize) -> Self {
        self.most = count.max(1);
        self
    }

    pub(crate) fn url(&self, tenant: &str) -> Option<String> {
        (self.url_of)(tenant)
    }

    pub(crate) fn limits(&self) -> (Duration, usize) {
        (self.idle, self.most)
    }
}

impl fmt::Debug for DatabaseStrategy {
    // URLs have passwords in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseStrategy")
            .field("idle", &self.idle)
            .field("most", &self.most)
            .finish_non_exhaustive()
    }
}

impl TenantQueryStrategy for DatabaseStrategy {
    fn name(&self) -> &'static str {
        "database"
    }

    fn qualifies(&self) -> bool {
        false
    }

    fn read_in_transaction(&self) -> bool {
        true
    }

    fn databases(&self) -> Option<&DatabaseStrategy> {
        Some(self)
    }
}
