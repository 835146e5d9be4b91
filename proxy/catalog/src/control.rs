//! Control connections: they ask what the proxy itself wants to know.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use deadpool_postgres::{Client, Manager, Pool, PoolError, Runtime, TimeoutType};
use pgstrata_control::error::{pool_words, postgres_words};
use rustls::ClientConfig;
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::ToSql;
use tokio_postgres::{NoTls, Row};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::{Database, ServerTls};
use crate::net::backoff::Backoff;

/// Connections at most: one for tenants, one for what schemas hold, and one for schemas that take long.
const CONNECTIONS: usize = 3;

/// How long it may take to get a connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// A connection that says nothing for so long has died: PostgreSQL itself gives up before (`statement_timeout`).
const SILENCE: Duration = Duration::from_secs(12);

/// A fixed path, whatever the role or the database has: no name in our SQL can
/// mean a tenant's object. Nothing is ever written. The planner is told that
/// catalogs are large (to compile or to scan for one schema never pays).
const OPTIONS: &str = "-c search_path=pg_catalog -c statement_timeout=10s -c lock_timeout=5s \
                       -c default_transaction_read_only=on -c jit=off -c enable_seqscan=off";

/// Why a question about the database has no answer: in full, with PostgreSQL's own words.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// TLS is asked for, and nobody said how.
    #[error("database \"{0}\" wants TLS, but no TLS settings were given")]
    NoTls(String),
    /// The pool can't be built.
    #[error("cannot set up control connections to database \"{0}\": {1}")]
    Setup(String, deadpool_postgres::BuildError),
    /// No connection.
    #[error("no control connection to database \"{name}\": {words}", name = .0, words = pool_words(.1))]
    Connect(String, PoolError),
    /// PostgreSQL refused the question.
    #[error("asking database \"{name}\" for {what}: {words}", name = .0, what = .1, words = postgres_words(.2))]
    Query(String, &'static str, tokio_postgres::Error),
    /// It did not answer.
    #[error("asking database \"{0}\" for {1}: it does not answer")]
    Late(String, &'static str),
    /// The registry says of a schema what a newer pgstrata understands.
    #[error("the registry of database \"{0}\" has a state of schema \"{1}\" that is not known here: {2}")]
    State(String, Box<str>, pgstrata_control::Error),
    /// The database is on several clusters, and nothing says which tenant lives where.
    #[error("the registry of database \"{name}\" has no placements that the proxy can read: {mend}")]
    NoPlacements {
        /// The database, as clients call it.
        name: String,
        /// What makes them, or lets the proxy read them.
        mend: String,
    },
    /// The registry says that a tenant lives where the configuration leads to nothing.
    #[error(
        "tenant schema \"{schema}\" is placed in database \"{database}\" on cluster \"{cluster}\", where database \
         \"{name}\" is not by the configuration"
    )]
    NoCluster {
        /// The database, as clients call it.
        name: String,
        /// The tenant's schema.
        schema: Box<str>,
        /// The cluster in the registry.
        cluster: Box<str>,
        /// The database there.
        database: Box<str>,
    },
    /// Somebody else's attempt to connect failed a moment ago.
    #[error(transparent)]
    Again(Arc<CatalogError>),
    /// Nobody asks any more.
    #[error("the proxy is shutting down")]
    Ended,
}

impl CatalogError {
    /// Whether it may well go better in a moment.
    pub fn is_passing(&self) -> bool {
        match self {
            // A login that is refused is refused again.
            Self::Connect(_, PoolError::Backend(error)) => !error
                .code()
                .is_some_and(|code| ["28", "3D"].iter().any(|class| code.code().starts_with(class))),
            Self::Connect(..) | Self::Late(..) => true,
            Self::Again(error) => error.is_passing(),
            Self::Query(_, _, error) => {
                let ended =
                    [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW];
                error.is_closed() || error.code().is_some_and(|code| ended.contains(code))
            }
            _ => false,
        }
    }

    /// PostgreSQL has as many connections as it, or the role, may have.
    fn is_full(&self) -> bool {
        match self {
            Self::Connect(_, PoolError::Backend(error)) => {
                error.code() == Some(&SqlState::TOO_MANY_CONNECTIONS)
            }
            Self::Again(error) => error.is_full(),
            _ => false,
        }
    }

    /// What PostgreSQL refused the question with.
    pub(super) fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Query(_, _, error) => error.code(),
            _ => None,
        }
    }
}

/// How `database`, which clients call `name`, is reached by a connection of the proxy's own.
pub fn settings(
    name: &str,
    database: &Database,
    has_tls: bool,
) -> Result<tokio_postgres::Config, CatalogError> {
    let mut settings = tokio_postgres::Config::new();
    settings
        .host(&database.host)
        .port(database.port)
        .dbname(database.database.as_deref().unwrap_or(name))
        .user(&database.user)
        .connect_timeout(PATIENCE);
    if let Some(password) = database.password.expose() {
        settings.password(password);
    }
    let unix = database.host.starts_with('/');
    settings.ssl_mode(match database.tls {
        _ if unix => SslMode::Disable,
        ServerTls::Disable => SslMode::Disable,
        ServerTls::Prefer => SslMode::Prefer,
        ServerTls::Require | ServerTls::VerifyCa | ServerTls::VerifyFull => SslMode::Require,
    });
    match settings.get_ssl_mode() {
        SslMode::Require if !has_tls => Err(CatalogError::NoTls(name.to_owned())),
        _ => Ok(settings),
    }
}

/// A pool of connections to `database`, which clients call `name`.
fn pool(name: &str, database: &Database, tls: Option<Arc<ClientConfig>>) -> Result<Pool, CatalogError> {
    let mut settings = settings(name, database, tls.is_some())?;
    settings.application_name("pgstrata control").options(OPTIONS);
    let manager = match tls {
        Some(tls) => Manager::new(settings, MakeRustlsConnect::new((*tls).clone())),
        None => Manager::new(settings, NoTls),
    };
    Pool::builder(manager)
        .max_size(CONNECTIONS)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(PATIENCE))
        .create_timeout(Some(PATIENCE))
        .build()
        .map_err(|error| CatalogError::Setup(name.to_owned(), error))
}

/// At most three connections to one database, opened when they are needed.
#[derive(Clone)]
pub struct Control {
    name: String,
    role: String,
    pool: Arc<ArcSwap<Pool>>,
    backoff: Arc<Backoff<CatalogError>>,
}

impl Control {
    /// Connections to `database`, which clients call `name`.
    ///
    /// `tls` says how certificates are verified; without it there is no TLS.
    pub fn new(
        name: &str,
        database: &Database,
        tls: Option<Arc<ClientConfig>>,
    ) -> Result<Self, CatalogError> {
        let pool = Arc::new(ArcSwap::from_pointee(pool(name, database, tls)?));
        let (name, role) = (name.to_owned(), database.user.clone());
        Ok(Self { name, role, pool, backoff: Arc::default() })
    }

    /// Connects as `other` would from now on, also where this is known already: the two are one behind it.
    pub fn become_like(&self, other: &Self) {
        self.pool.store(other.pool.load_full());
        self.backoff.succeeded();
    }

    /// The rows that answer `sql` about one schema; `what` is for the error.
    pub(super) async fn ask(
        &self,
        sql: &str,
        schema: &str,
        what: &'static str,
    ) -> Result<Vec<Row>, CatalogError> {
        self.ask_with(sql, &[&schema], what).await
    }

    /// The same. PostgreSQL gives up after `limit` (57014).
    pub(super) async fn ask_within(
        &self,
        sql: &str,
        schema: &str,
        what: &'static str,
        limit: Duration,
    ) -> Result<Vec<Row>, CatalogError> {
        let client = self.client().await?;
        let rows = async {
            let statement = client.prepare_cached(sql).await?;
            let begin = format!("BEGIN; SET LOCAL statement_timeout = {}", limit.as_millis());
            client.batch_execute(&begin).await?;
            let rows = client.query(&statement, &[&schema]).await;
            client.batch_execute("ROLLBACK").await?;
            rows
        };
        match timeout(SILENCE, rows).await {
            Ok(rows) => rows.map_err(|error| self.failed(what, error)),
            Err(_) => {
                drop(Client::take(client));
                Err(CatalogError::Late(self.name.clone(), what))
            }
        }
    }

    /// The rows that answer `sql` with these parameters.
    pub async fn ask_with(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
        what: &'static str,
    ) -> Result<Vec<Row>, CatalogError> {
        let client = self.client().await?;
        let rows = async {
            let statement = client.prepare_cached(sql).await?;
            client.query(&statement, parameters).await
        };
        match timeout(SILENCE, rows).await {
            Ok(rows) => rows.map_err(|error| self.failed(what, error)),
            Err(_) => {
                drop(Client::take(client));
                Err(CatalogError::Late(self.name.clone(), what))
            }
        }
    }

    /// Whether PostgreSQL answers at all: that it takes no more connections is an answer, too. Waits up to `limit` for
    /// a connection, and as long for the answer.
    pub async fn answers(&self, limit: Duration) -> Result<(), CatalogError> {
        let what = "an answer";
        let late = |_| CatalogError::Late(self.name.clone(), what);
        let client = match timeout(limit, self.client()).await.map_err(late)? {
            Err(error) if error.is_full() => return Ok(()),
            client => client?,
        };
        match timeout(limit, client.batch_execute("")).await {
            Ok(answer) => answer.map_err(|error| self.failed(what, error)),
            Err(late_by) => {
                drop(Client::take(client));
                Err(late(late_by))
            }
        }
    }

    /// The database, as clients call it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The role that it logs in as.
    pub(super) fn role(&self) -> &str {
        &self.role
    }

    /// The error of a question for `what`.
    pub fn failed(&self, what: &'static str, error: tokio_postgres::Error) -> CatalogError {
        CatalogError::Query(self.name.clone(), what, error)
    }

    async fn client(&self) -> Result<Client, CatalogError> {
        let pool = self.pool.load_full();
        // An idle connection is had all the same.
        if pool.status().available == 0
            && let Some((error, _)) = self.backoff.holds()
        {
            return Err(CatalogError::Again(error));
        }
        match pool.get().await {
            Ok(client) => {
                self.backoff.succeeded();
                Ok(client)
            }
            // Others have what there is: that is no fault of PostgreSQL's.
            Err(error @ PoolError::Timeout(TimeoutType::Wait)) => {
                Err(CatalogError::Connect(self.name.clone(), error))
            }
            Err(error) => {
                let error = Arc::new(CatalogError::Connect(self.name.clone(), error));
                self.backoff.failed(Arc::clone(&error));
                Err(CatalogError::Again(error))
            }
        }
    }
}

impl std::fmt::Debug for Control {
    // The manager's own Debug would go through the connection's settings.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("name", &self.name).finish_non_exhaustive()
    }
}
