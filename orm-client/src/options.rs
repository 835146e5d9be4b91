//! What an entity manager is to be like. `life`: of its connections.

mod life;

use std::fmt;
#[cfg(feature = "sqlite")]
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{Config, NoTls, Socket};

pub(crate) use self::life::Life;
use crate::entity::{Entity, EntityDefinition};
use crate::strategy::{ProxyStrategy, SearchPathStrategy, TenantQueryStrategy};
use crate::tls::{Connector, Tls};
use crate::{DatabaseKind, Error};

/// What becomes of a statement that names no tenant: it runs outside of any [`MetadataContext`](crate::MetadataContext), as in a task that was
/// spawned without one.
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # let options = options();
/// let options = options.missing_tenant(MissingTenant::Reject);
/// # let em = manager_with(options);
/// assert!(matches!(em.find::<User>().sql(), Err(Error::NoTenant(_))));
/// assert!(MetadataContext::run_sync("public", || em.find::<User>().sql()).is_ok());
/// assert!(em.public().find::<User>().sql().is_ok());
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum MissingTenant {
    /// It reads and writes the schema `public`. A program that has used tenants is warned of it once, by `tracing`.
    #[default]
    Public,
    /// It is an [`Error::NoTenant`], unless it names only tables that are pinned to a schema.
    Reject,
}

/// What [`EntityManager::register`](crate::EntityManager::register) is given.
///
/// ```no_run
/// use std::time::Duration;
/// use pgstrata_orm::{EntityManager, Options, SchemaQualifiedStrategy};
///
/// # async fn example() -> Result<(), pgstrata_orm::Error> {
/// let options = Options::url("postgres://postgres:password@localhost:5432/mydb")?
///     .tenant_strategy(SchemaQualifiedStrategy)
///     .max_connections(10)
///     .query_timeout(Duration::from_secs(5));
/// let em = EntityManager::register(options).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Options {
    pub(crate) kind: DatabaseKind,
    pub(crate) config: Config,
    /// SQLite's file; none: a database in memory.
    #[cfg(feature = "sqlite")]
    pub(crate) path: Option<PathBuf>,
    pub(crate) connector: Arc<dyn Connector>,
    pub(crate) entities: Vec<&'static EntityDefinition>,
    pub(crate) strategy: Arc<dyn TenantQueryStrategy>,
    pub(crate) shared: Vec<String>,
    pub(crate) pipelined: bool,
    pub(crate) synchronize: bool,
    pub(crate) query_timeout: Option<Duration>,
    pub(crate) max_connections: usize,
    pub(crate) wait_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) statements: usize,
    pub(crate) missing_tenant: MissingTenant,
    pub(crate) slow_statement: Option<Duration>,
    pub(crate) life: Life,
}

impl Options {
    /// A database by its URL: PostgreSQL's as libpq writes it; with the feature `sqlite` also `sqlite://app.db`, and `sqlite::memory:`, which
    /// is gone with its manager.
    ///
    /// ```
    /// # use pgstrata_orm::{Error, Options};
    /// let options = Options::url("postgresql://app:secret@db1.example.com,db2.example.com:5433/mydb?sslmode=require")?;
    /// let wrong = Options::url("postgres://app:secret@localhost:here/mydb").unwrap_err();
    /// assert!(!wrong.to_string().contains("secret"));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// What is wrong with it; the URL, with its password, is not in the error's words.
    pub fn url(url: &str) -> Result<Self, Error> {
        let kind = DatabaseKind::of_url(url).unwrap_or_default();
        let config = match kind {
            DatabaseKind::Postgres => url.parse().map_err(|error| wrong_url(&error))?,
            _ => Config::new(),
        };
        Ok(Self {
            kind,
            #[cfg(feature = "sqlite")]
            path: (kind == DatabaseKind::Sqlite).then(|| file(url)).flatten(),
            ..Self::config(config)
        })
    }

    /// A PostgreSQL by tokio-postgres's own settings.
    ///
    /// ```
    /// let mut config = tokio_postgres::Config::new();
    /// config.host("localhost").user("postgres").dbname("mydb");
    /// let options = pgstrata_orm::Options::config(config);
    /// ```
    pub fn config(config: Config) -> Self {
        Self {
            kind: DatabaseKind::Postgres,
            config,
            #[cfg(feature = "sqlite")]
            path: None,
            connector: Arc::new(Tls(NoTls)),
            entities: Vec::new(),
            strategy: Arc::new(SearchPathStrategy),
            shared: Vec::new(),
            pipelined: true,
            synchronize: false,
            query_timeout: None,
            max_connections: 10,
            wait_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(10),
            statements: 256,
            missing_tenant: MissingTenant::Public,
            slow_statement: None,
            life: Life::default(),
        }
    }

    /// Takes a type's table on. What it says of itself goes into the public layer.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// let options = Options::url("postgres://localhost/blog")?.entity::<User>();
    /// # let em = manager_with(options);
    /// assert!(em.find::<User>().sql().is_ok());
    /// assert!(matches!(em.find::<Post>().sql(), Err(Error::Unregistered("Post"))));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn entity<E: Entity>(self) -> Self {
        self.definition(E::DEFINITION)
    }

    /// As [`Options::entity`], by the definition.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// let tables = [User::DEFINITION, Post::DEFINITION];
    /// let options = tables.into_iter().fold(Options::url("postgres://localhost/blog")?, Options::definition);
    /// # assert!(manager_with(options).find::<Post>().sql().is_ok());
    /// # Ok::<(), Error>(())
    /// ```
    pub fn definition(mut self, definition: &'static EntityDefinition) -> Self {
        self.entities.push(definition);
        self
    }

    /// How connections are secured; by default they are not.
    ///
    /// ```no_run
    /// # #[cfg(feature = "rustls")]
    /// # fn example(authorities: rustls::RootCertStore) -> Result<(), pgstrata_orm::Error> {
    /// # use pgstrata_orm::Options;
    /// use tokio_postgres_rustls::MakeRustlsConnect;
    ///
    /// let config = rustls::ClientConfig::builder().with_root_certificates(authorities).with_no_client_auth();
    /// let url = "postgres://app@db.example.com/mydb?sslmode=require";
    /// let options = Options::url(url)?.tls(MakeRustlsConnect::new(config));
    /// # Ok(())
    /// # }
    /// ```
    pub fn tls<T>(mut self, tls: T) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Sync + Send + 'static,
        T::Stream: Sync + Send,
        T::TlsConnect: Sync + Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        self.connector = Arc::new(Tls(tls));
        self
    }

    /// Connections by rustls, which trusts whom the system trusts. `sslmode=require` in the URL makes sure of it.
    ///
    /// ```no_run
    /// # use pgstrata_orm::{Error, Options};
    /// let options = Options::url("postgres://app@db.example.com/mydb?sslmode=require")?.rustls()?;
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// The system knows no certificate authority.
    #[cfg(feature = "rustls")]
    pub fn rustls(self) -> Result<Self, Error> {
        Ok(self.tls(crate::tls::rustls()?))
    }

    /// How statements reach the tenant's schema: [`SearchPathStrategy`] if nothing is said.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let options = options();
    /// let options = options.tenant_strategy(SchemaQualifiedStrategy);
    /// # let em = manager_with(options);
    /// let sql = MetadataContext::run_sync("acme_corp", || em.find::<User>().sql())?;
    /// assert_eq!(sql, r#"SELECT "id", "name", "email" FROM "acme_corp"."users""#);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn tenant_strategy(mut self, strategy: impl TenantQueryStrategy) -> Self {
        self.strategy = Arc::new(strategy);
        self
    }

    /// The server is a pgstrata proxy: [`ProxyStrategy`].
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let options = options();
    /// let options = options.through_proxy();
    /// # let em = manager_with(options);
    /// let sql = MetadataContext::run_sync("acme_corp", || em.find::<User>().sql())?;
    /// assert_eq!(sql, r#"/*tenant='acme_corp'*/ SELECT "id", "name", "email" FROM "users""#);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn through_proxy(self) -> Self {
        self.tenant_strategy(ProxyStrategy)
    }

    /// Schemas that all tenants have on their path, behind their own, for extensions and what is shared; none if nothing is said.
    ///
    /// With `public` among them, a table that a tenant lacks is found there.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let options = options();
    /// let options = options.shared_schemas(["extensions"]);
    /// # let em = manager_with(options);
    /// // It is everybody's, so it is no tenant.
    /// let refused = MetadataContext::run_sync("extensions", || em.find::<User>().sql());
    /// assert!(matches!(refused, Err(Error::Reserved(_))));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn shared_schemas<S: Into<String>>(mut self, schemas: impl IntoIterator<Item = S>) -> Self {
        self.shared = schemas.into_iter().map(Into::into).collect();
        self
    }

    /// Whether what belongs together is sent at once: yes, if nothing is said. Without it each step waits for the one before.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let options = options();
    /// // To see in PostgreSQL's log what each step takes.
    /// let options = options.pipelined(false);
    /// # assert!(format!("{options:?}").contains("pipelined: false"));
    /// ```
    pub fn pipelined(mut self, pipelined: bool) -> Self {
        self.pipelined = pipelined;
        self
    }

    /// Whether tables, indexes and foreign keys that are missing are created when the manager is made: no, if nothing is said.
    ///
    /// In the public schema (and those that entities are pinned to), not in tenants': they are made from it. A table that is there stays as
    /// it is; if it lacks a column, that is [`Error::Outdated`], and [`Error::Differs`] where a column has another type or nullability.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(options: Options) -> Result<(), Error> {
    /// // In production by migrations.
    /// let em = EntityManager::register(options.synchronize(cfg!(debug_assertions))).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn synchronize(mut self, synchronize: bool) -> Self {
        self.synchronize = synchronize;
        self
    }

    /// How long one statement may take in PostgreSQL: as long as it likes, if nothing is said. It costs each of them a transaction. What
    /// constraints and triggers put off until the commit do there, PostgreSQL does not count.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # use std::time::Duration;
    /// # async fn example(options: Options) -> Result<(), Error> {
    /// let em = EntityManager::register(options.query_timeout(Duration::from_secs(5))).await?;
    /// match em.find::<Post>().await {
    ///     Err(error) if error.is_timeout() => println!("more than five seconds"),
    ///     other => drop(other?),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn query_timeout(mut self, timeout: Duration) -> Self {
        self.query_timeout = Some(timeout);
        self
    }

    /// Connections at most: 10, if nothing is said.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let options = options();
    /// // PostgreSQL's 100, shared by four processes, and some left for people.
    /// let options = options.max_connections(24);
    /// # assert!(format!("{options:?}").contains("max_connections: 24"));
    /// ```
    pub fn max_connections(mut self, count: usize) -> Self {
        self.max_connections = count.max(1);
        self
    }

    /// How long a statement may wait for a connection: 30 seconds, if nothing is said.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # use std::time::Duration;
    /// # async fn example(options: Options) -> Result<(), Error> {
    /// let options = options.max_connections(1).wait_timeout(Duration::from_millis(100));
    /// let em = EntityManager::register(options).await?;
    /// let tx = em.begin().await?;
    /// // The only connection is the transaction's.
    /// assert!(em.find::<User>().await.is_err_and(|error| error.is_timeout()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_timeout(mut self, timeout: Duration) -> Self {
        self.wait_timeout = timeout;
        self
    }

    /// How long connecting may take: 10 seconds, if nothing is said.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # use std::time::Duration;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// // Takes connections, and never says a word.
    /// let silent = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let url = format!("postgres://app@{}/mydb", silent.local_addr()?);
    /// let options = Options::url(&url)?.entity::<User>().connect_timeout(Duration::from_millis(20));
    /// let em = EntityManager::register(options).await?;
    /// assert!(em.find::<User>().await.is_err_and(|error| error.is_timeout()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// What becomes of a statement outside of any context: it is of the schema `public`, if nothing is said. A program with tenants says
    /// [`MissingTenant::Reject`].
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let options = options();
    /// let em = EntityManager::register(options.missing_tenant(MissingTenant::Reject)).await?;
    /// let task = MetadataContext::run("acme", async {
    ///     // The context does not go into a spawned task: MetadataContext::spawn would carry it.
    ///     tokio::spawn(async move { em.save(&User::default()).await })
    /// });
    /// assert!(matches!(task.await.await.unwrap(), Err(Error::NoTenant(_))));
    /// # Ok(())
    /// # }
    /// ```
    pub fn missing_tenant(mut self, missing: MissingTenant) -> Self {
        self.missing_tenant = missing;
        self
    }

    /// A statement that takes at least so long is told by a warning of `tracing`: its tenant, its form with no values, its rows and the
    /// milliseconds. All others are told at the level DEBUG.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let options = options();
    /// let options = options.slow_statement(std::time::Duration::from_millis(200));
    /// ```
    pub fn slow_statement(mut self, time: Duration) -> Self {
        self.slow_statement = Some(time);
        self
    }

    /// How many prepared statements each connection keeps: 256, if nothing is said.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let options = options();
    /// // By the search path, each tenant's is a statement of its own.
    /// let options = options.prepared_statements(20 * 50);
    /// ```
    pub fn prepared_statements(mut self, count: usize) -> Self {
        self.statements = count.max(1);
        self
    }
}

#[cfg(feature = "sqlite")]
/// The file of `sqlite://FILE` or `sqlite:FILE`; none of `sqlite::memory:`.
fn file(url: &str) -> Option<PathBuf> {
    let path = url.split_once(':')?.1;
    let path = path.strip_prefix("//").unwrap_or(path);
    (path != ":memory:" && !path.is_empty()).then(|| path.into())
}

/// What is wrong with a URL, without what may be a password in it.
fn wrong_url(error: &tokio_postgres::Error) -> Error {
    // Of the parser's words, these have nothing of the URL's in them.
    let words = std::error::Error::source(error).map(ToString::to_string).unwrap_or_default();
    let about = words.strip_prefix("invalid value for option ");
    Error::Options(match about {
        Some("`sslmode`") => "sslmode is disable, prefer or require: with Options::rustls, require checks \
                              the server's certificate and name as verify-full does"
            .into(),
        Some(option) => format!("the URL has a wrong value for {option}"),
        None => "this is no URL of a PostgreSQL: postgres://USER@HOST/DATABASE".into(),
    })
}

impl fmt::Debug for Options {
    // How to connect has a password in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("kind", &self.kind)
            .field("entities", &self.entities.iter().map(|entity| entity.name).collect::<Vec<_>>())
            .field("strategy", &self.strategy)
            .field("shared", &self.shared)
            .field("pipelined", &self.pipelined)
            .field("synchronize", &self.synchronize)
            .field("query_timeout", &self.query_timeout)
            .field("max_connections", &self.max_connections)
            .field("missing_tenant", &self.missing_tenant)
            .finish_non_exhaustive()
    }
}
