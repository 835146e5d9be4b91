//! Tenants' whole life in PostgreSQL: provisioned, migrated, compared, moved and dropped.
//!
//! The proxy's command line and the ORM crate both call it; it prints nothing and asks nobody.
//!
//! # Layout
//! - [`Control`]: connections to one database, and what its tenants are made from.
//! - [`name`]: which names a tenant's schema can have.
//! - [`registry`]: which schemas are tenants', and how each one fares.
//! - [`blueprint`]: what a schema is made of, as SQL that makes another one like it.
//! - [`provision`]: schemas for tenants.
//! - [`drift`]: how a tenant differs from the source, as SQL that mends it.
//! - `lifecycle`: what happens to a schema later: cloned, renamed, dropped.
//! - [`archive`]: one tenant as a file.
//! - [`role`]: the passwords of roles that tenants log in as.
//! - [`access`]: the roles of tenants, and what they may do.
//! - [`audit`]: what each tenant's role can reach.
//! - [`harden`]: what the role of the proxy's servers can do without.
//! - [`migrate`]: changes for the source and for every tenant.

pub mod access;
pub mod archive;
pub mod audit;
pub mod blueprint;
pub mod drift;
pub mod error;
pub mod harden;
mod lifecycle;
pub mod migrate;
pub mod name;
pub mod provision;
pub mod registry;
pub mod role;
pub mod settings;

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Client, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use tokio_postgres::Socket;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};

pub use error::Error;
pub use name::SchemaName;
pub use role::role_password;
pub use settings::Settings;

/// How long connecting may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Nothing that stands in a schema can mean something in our own SQL.
const OPTIONS: &str = "-c search_path=pg_catalog";

/// Connections to one database, and what its tenants are made from. Cheap to clone.
#[derive(Clone)]
pub struct Control {
    pool: Pool,
    login: Arc<tokio_postgres::Config>,
    settings: Arc<Settings>,
}

impl Control {
    /// At most so many `connections` of a role that may create schemas: as much is done at once.
    ///
    /// Nothing is connected yet.
    pub fn new<T>(
        mut login: tokio_postgres::Config,
        tls: T,
        connections: usize,
        settings: Settings,
    ) -> Result<Self, Error>
    where
        T: MakeTlsConnect<Socket> + Clone + Sync + Send + 'static,
        T::Stream: Sync + Send,
        T::TlsConnect: Sync + Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        // The last one counts: no path of somebody's own does.
        login.options(format!("{} {OPTIONS}", login.get_options().unwrap_or_default()));
        // Migrations are anybody's SQL: what they set ends with them.
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Clean };
        let pool = Pool::builder(Manager::from_config(login.clone(), tls, recycling))
            .max_size(connections.max(1))
            .runtime(Runtime::Tokio1)
            .create_timeout(Some(PATIENCE))
            .build()
            .map_err(|error| Error::Refused(error.to_string()))?;
        Ok(Self { pool, login: Arc::new(login), settings: Arc::new(settings) })
    }

    /// What tenants are made from.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// A connection, as soon as there is one.
    pub(crate) async fn client(&self) -> Result<Client, Error> {
        self.pool.get().await.map_err(Error::Connect)
    }

    /// How much is done at once.
    pub(crate) fn workers(&self) -> usize {
        self.pool.status().max_size.max(1)
    }
}

impl std::fmt::Debug for Control {
    // The pool's own Debug would go through the connection's settings.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("settings", &self.settings).finish_non_exhaustive()
    }
}
