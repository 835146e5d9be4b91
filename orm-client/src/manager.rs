//! The entity manager: entities in a database, each tenant's in its own schema.
//!
//! # Layout
//! - [`EntityManager`]: a database, its pool, its metadata.
//! - [`Session`] (`session`): what can be asked, of the pool or in a transaction.
//! - [`Transaction`] (`transaction`): statements that count together.
//! - [`TransactionOptions`] (`modes`): how they begin.
//! - `raw`: SQL of the application's own.
//! - `synchronize`: tables that are missing.
//! - `watch`: whether the query timeout ran out.

mod modes;
mod raw;
mod session;
mod synchronize;
mod transaction;
mod watch;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use deadpool::Runtime;
use deadpool::managed::Pool;
use pgstrata_tenancy::ident;
use pgstrata_tenancy::layers::{EntityMetadata, LayeredMetadataStore, Schema};
use tokio_postgres::Config;

pub use modes::{IsolationLevel, TransactionOptions};
pub(crate) use session::Place;
pub use session::Session;
pub use transaction::Transaction;

use crate::connection::Manager;
use crate::context::MetadataContext;
use crate::entity::EntityDefinition;
use crate::runner::Driver;
use crate::{Error, Options};

/// What all handles of one manager share.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) pool: Pool<Manager>,
    pub(crate) store: LayeredMetadataStore,
    /// A statement whose BEGIN failed fails, too.
    pub(crate) guarded: bool,
}

/// Entities in a database. Cheap to clone; all that a [`Session`] can do, it can.
///
/// Whose rows it reads and writes, the [`MetadataContext`] says that it is used in.
///
/// ```no_run
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # async fn example() -> Result<(), Error> {
/// let options = Options::url("postgres://postgres:password@localhost:5432/mydb")?;
/// let em = EntityManager::register(options.entity::<User>().synchronize(true)).await?;
///
/// let users: Vec<User> = MetadataContext::run("tenant_1", async { em.find::<User>().await }).await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct EntityManager {
    session: Session,
}

impl EntityManager {
    /// Puts the entities into the public layer, which is read-only from then on, and makes the pool. Only with
    /// [`Options::synchronize`] anything is asked of PostgreSQL.
    ///
    /// ```
    /// # use pgstrata_orm::{DatabaseKind, EntityManager, Error, Options};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// // Nobody has to listen there yet.
    /// let em = EntityManager::register(Options::url("postgres://localhost:1/mydb")?).await?;
    /// assert_eq!(em.connections(), (0, 0));
    ///
    /// let refused = EntityManager::register(Options::url("mysql://localhost/mydb")?).await;
    /// assert!(matches!(refused, Err(Error::Unsupported(DatabaseKind::MySql))));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the database is no PostgreSQL, [`Error::Options`], and what PostgreSQL says.
    pub async fn register(options: Options) -> Result<Self, Error> {
        options.kind.require_schemas()?;
        let store = LayeredMetadataStore::new();
        for definition in registered(&options.entities)?.values() {
            store.set(definition.name, metadata(definition))?;
        }
        store.freeze_public();
        let guarded = options.pipelined && options.strategy.guards_sessions();
        let mut config = options.config.clone();
        if options.strategy.guards_sessions() {
            config.options(session_options(&config, &options.shared, guarded));
        }
        let manager = Manager::new(config, Arc::clone(&options.connector), options.statements);
        let pool = Pool::builder(manager)
            .max_size(options.max_connections)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(options.wait_timeout))
            .create_timeout(Some(options.connect_timeout))
            .build()
            .map_err(|error| Error::Options(error.to_string()))?;
        let synchronize = options.synchronize;
        let shared = Arc::new(Shared { options, pool, store, guarded });
        let manager = Self { session: Session::pooled(shared) };
        if synchronize {
            manager.synchronize().await?;
        }
        Ok(manager)
    }

    /// The metadata, as the tenant of the current context sees and changes them.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Error> {
    /// # let em = manager();
    /// // Another table for this tenant only.
    /// MetadataContext::run("enterprise", async {
    ///     em.metadata()?.set("User", EntityMetadata::table("enterprise_users"))?;
    ///     assert!(em.find::<User>().sql()?.ends_with(r#"FROM "enterprise_users""#));
    ///     Ok::<(), Error>(())
    /// })
    /// .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The context's name can be no tenant's.
    pub fn metadata(&self) -> Result<LayeredMetadataStore, crate::layers::LayerError> {
        let tenant = MetadataContext::current_tenant();
        self.shared().store.in_context(tenant.as_str())
    }

    /// What makes tenants' schemas: see [`PostgresTenantMigrationRunner`](crate::PostgresTenantMigrationRunner).
    ///
    /// ```no_run
    /// use pgstrata_orm::{EntityManager, PostgresTenantMigrationRunner, TenantMigrationRunner};
    ///
    /// # async fn example(em: EntityManager) -> Result<(), pgstrata_orm::Error> {
    /// let runner = PostgresTenantMigrationRunner::new(em.driver())?;
    /// runner.ensure_schema("acme_corp").await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn driver(&self) -> Driver {
        Driver::new(&self.shared().options)
    }

    /// How many connections there are now, and how many of them are idle.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let (open, idle) = em.connections();
    /// assert_eq!(open - idle, 0, "in use");
    /// ```
    pub fn connections(&self) -> (usize, usize) {
        let status = self.shared().pool.status();
        (status.size, status.available)
    }

    fn shared(&self) -> &Arc<Shared> {
        &self.session.shared
    }
}

impl Deref for EntityManager {
    type Target = Session;

    fn deref(&self) -> &Session {
        &self.session
    }
}

impl fmt::Debug for EntityManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntityManager").field("options", &self.shared().options).finish_non_exhaustive()
    }
}

/// The definitions by name. One type may be given twice, two of one name may not.
fn registered(
    definitions: &[&'static EntityDefinition],
) -> Result<BTreeMap<&'static str, &'static EntityDefinition>, Error> {
    let mut registered: BTreeMap<_, &'static EntityDefinition> = BTreeMap::new();
    for definition in definitions {
        let known = registered.insert(definition.name, definition);
        if known.is_some_and(|known| !std::ptr::eq(known, *definition)) {
            let message = format!("two entities are called {}: metadata go by that name", definition.name);
            return Err(Error::Options(message));
        }
    }
    Ok(registered)
}

/// What a type says of its table, as an entry of the public layer.
fn metadata(definition: &EntityDefinition) -> EntityMetadata {
    let mut metadata = EntityMetadata::table(definition.table);
    metadata.schema = Some(definition.schema.map_or(Schema::Own, |schema| Schema::Named(schema.into())));
    definition
        .columns
        .iter()
        .fold(metadata, |metadata, column| metadata.with_column(column.field, column.name))
}

/// What a session is between transactions: nobody's, so that what has lost its transaction finds no table and changes nothing.
fn session_options(config: &Config, shared: &[String], guarded: bool) -> String {
    let mut options = config.get_options().unwrap_or_default().to_owned();
    let path = match shared {
        [] => "pg_catalog".to_owned(),
        shared => ident::search_path(shared.iter().map(String::as_str)),
    };
    options += " -csearch_path=";
    for c in path.chars() {
        if c == '\\' || c.is_ascii_whitespace() {
            options.push('\\');
        }
        options.push(c);
    }
    if guarded {
        options += " -cdefault_transaction_read_only=on";
    }
    options
}
