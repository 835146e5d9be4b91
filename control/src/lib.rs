//! Tenants' whole life in PostgreSQL: provisioned, migrated, compared, moved and dropped.
//!
//! The proxy's command line and the ORM crate both call it; it prints nothing and asks nobody.
//!
//! # Layout
//! - [`Control`]: connections to one database, and what its tenants are made from.
//! - [`name`]: which names a tenant's schema can have.
//! - [`registry`]: which schemas are tenants', and how each one fares.
//! - [`migrate`]: changes for the source and for every tenant.

pub mod error;
pub mod migrate;
pub mod name;
pub mod registry;
pub mod settings;

use std::sync::Arc;

use deadpool_postgres::{Client, Pool};

pub use error::Error;
pub use name::SchemaName;
pub use settings::Settings;

/// Connections to one database, and what its tenants are made from. Cheap to clone.
#[derive(Clone)]
pub struct Control {
    pool: Pool,
    settings: Arc<Settings>,
}

impl Control {
    /// With connections of a role that may create schemas. As many as the pool has work at once.
    ///
    /// A connection that comes back to the pool must lose what it was set to
    /// (`deadpool_postgres::RecyclingMethod::Clean`): migrations are anybody's SQL. With the option
    /// `-c client_connection_check_interval=1s`, PostgreSQL 14 and later notice at once when this program is
    /// gone, and let go of what it had begun.
    pub fn new(pool: Pool, settings: Settings) -> Self {
        Self { pool, settings: Arc::new(settings) }
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
