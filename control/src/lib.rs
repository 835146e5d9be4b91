//! The tenant lifecycle in PostgreSQL: create, migrate, compare, move and drop tenants.
//!
//! The proxy's command line and the ORM crate both use this library; it has no output and no prompts.
//!
//! # Layout
//! - [`Control`]: connections to one database, and the source of its tenants.
//! - [`name`]: the names that a tenant's schema can have.
//! - [`registry`]: the schemas of tenants, and their states.
//! - [`blueprint`]: the definitions of a schema, as SQL that creates a copy.
//! - [`provision`]: creates schemas for tenants.
//! - [`drift`]: the differences between a tenant and the source, as SQL that removes them.
//! - `lifecycle`: clones, renames and drops schemas.
//! - [`archive`]: one tenant as a file.
//! - [`role`]: the passwords of tenants' login roles.
//! - [`access`]: the roles of tenants, and their privileges.
//! - [`audit`]: the objects that each tenant's role can reach.
//! - [`harden`]: unneeded privileges of the servers' role.
//! - [`migrate`]: migrations of the source and of every tenant.
//! - [`moves`]: moves a tenant to another cluster.

pub mod access;
pub mod archive;
pub mod audit;
pub mod blueprint;
pub mod drift;
pub mod error;
pub mod harden;
mod lifecycle;
pub mod migrate;
pub mod moves;
pub mod name;
pub mod provision;
pub mod registry;
pub mod role;
pub mod settings;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use deadpool_postgres::{Client, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime};
use tokio_postgres::Socket;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};

pub use error::Error;
pub use name::SchemaName;
pub use role::role_password;
pub use settings::Settings;

/// The time-out for connecting.
const PATIENCE: Duration = Duration::from_secs(10);

/// So that no object in a schema can change the meaning of our own SQL.
const OPTIONS: &str = "-c search_path=pg_catalog";

/// Connections to one database, and the source of its tenants. Cheap to clone.
#[derive(Clone)]
pub struct Control {
    pool: Pool,
    login: Arc<tokio_postgres::Config>,
    settings: Arc<Settings>,
    /// Its role may not upgrade the registry, and that was said.
    left_old: Arc<AtomicBool>,
}

impl Control {
    /// At most `connections` connections of a role that may create schemas; this is also the number of parallel
    /// operations.
    ///
    /// No connection is opened yet.
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
        // The last option applies, so a path in the URL has no effect.
        login.options(format!("{} {OPTIONS}", login.get_options().unwrap_or_default()));
        // Migrations run arbitrary SQL, so their session state is reset.
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Clean };
        let pool = Pool::builder(Manager::from_config(login.clone(), tls, recycling))
            .max_size(connections.max(1))
            .runtime(Runtime::Tokio1)
            .create_timeout(Some(PATIENCE))
            .build()
            .map_err(|error| Error::Refused(error.to_string()))?;
        Ok(Self { pool, login: Arc::new(login), settings: Arc::new(settings), left_old: Arc::default() })
    }

    /// The settings for new tenants.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Waits for a free connection.
    pub(crate) async fn client(&self) -> Result<Client, Error> {
        self.pool.get().await.map_err(Error::Connect)
    }

    /// The number of parallel operations.
    pub(crate) fn workers(&self) -> usize {
        self.pool.status().max_size.max(1)
    }
}

impl std::fmt::Debug for Control {
    // The pool's own Debug would show the connection's settings.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Control").field("settings", &self.settings).finish_non_exhaustive()
    }
}
