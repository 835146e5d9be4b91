//! The entity manager: entities in a database, each tenant's in its own schema.
//!
//! # Layout
//! - [`EntityManager`]: a database, its pool, its metadata.
//! - [`Session`] (`session`): what can be asked, of the pool or in a transaction. `verbs`: what that is. `hooked`: with hooks around it.
//! - `run`: how it is sent: what goes around a statement, what is tried again; `stream`: rows as they come.
//! - [`Transaction`] (`transaction`): statements that count together; `savepoint`: a part of them.
//! - [`TransactionOptions`] (`modes`): how they begin.
//! - [`Metadata`] (`metadata`): one tenant's layer, over the public one.
//! - `plain`: tables that are read without a path; `operators`: types whose operators need one.
//! - `stray`: statements of no tenant, in a program that has tenants.
//! - `raw`: SQL of the application's own.
//! - `retry`: transactions that are tried again. `copy`: many rows at once.
//! - `databases`: those of tenants, where each has its own.
//! - `scope`: rows of all tenants in the same tables.
//! - `synchronize`: tables that are missing. `diff`: what is, as SQL. `tenants`: the same work for many of them.
//! - `watch`: whether the query timeout ran out.

mod copy;
mod databases;
mod diff;
pub(crate) mod hooked;
mod metadata;
mod modes;
mod operators;
mod plain;
mod raw;
mod retry;
mod run;
mod savepoint;
mod scope;
mod session;
mod stray;
mod stream;
mod synchronize;
mod tenants;
mod transaction;
mod verbs;
mod watch;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use pgstrata_tenancy::ident;
use pgstrata_tenancy::layers::{EntityMetadata, LayeredMetadataStore, Schema};
use tokio_postgres::Config;

pub use diff::Diff;
pub use metadata::Metadata;
pub use modes::{IsolationLevel, TransactionOptions};
pub(crate) use plain::Names;
pub use retry::Retry;
#[cfg(feature = "sqlite")]
pub(crate) use scope::Layout;
pub use session::Session;
pub(crate) use session::{Call, Place};
#[cfg(feature = "sqlite")]
pub(crate) use synchronize::{Link, list};
pub use transaction::Transaction;

use crate::connection::Manager;
use crate::context::Tenant;
use crate::entity::EntityDefinition;
use crate::lease::{self, Pool};
use crate::runner::Driver;
use crate::{DatabaseKind, Error, Options};

/// What all handles of one manager share.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) pool: Pool,
    pub(crate) store: LayeredMetadataStore,
    /// A statement whose BEGIN failed fails, too.
    pub(crate) guarded: bool,
    plain: plain::PlainTables,
    operators: operators::Operators,
    stray: stray::Stray,
    databases: databases::Databases,
}

/// Entities in a database. Cheap to clone; all that a [`Session`] can do, it can.
///
/// Whose rows it reads and writes, the [`MetadataContext`](crate::MetadataContext) says that it is used in; or [`EntityManager::tenant`].
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
        let store = LayeredMetadataStore::new();
        for definition in registered(&options.entities)?.values() {
            store.set(definition.name, metadata(definition))?;
        }
        store.freeze_public();
        if let Some(name) = options.strategy.tenant_column() {
            scope::check(name)?;
        }
        let guarded = options.pipelined && options.strategy.guards_sessions();
        let pool = pool(&options, guarded)?;
        let synchronize = options.synchronize;
        let shared = Arc::new(Shared {
            options,
            pool,
            store,
            guarded,
            plain: plain::PlainTables::default(),
            operators: operators::Operators::default(),
            stray: stray::Stray::default(),
            databases: databases::Databases::default(),
        });
        let manager = Self { session: Session::pooled(shared, None) };
        if synchronize {
            manager.synchronize(manager.unscoped()).await?;
        }
        Ok(manager)
    }

    /// A session of this tenant's, whatever the context: it can be kept, cloned, and moved into other tasks. The name is taken as it is:
    /// one that can be no tenant's is an error at the first call.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let acme: Session = em.tenant("acme");
    /// let users = tokio::spawn(async move { acme.find::<User>().await });
    /// # drop(users);
    /// # Ok(())
    /// # }
    /// ```
    pub fn tenant(&self, tenant: impl Into<Tenant>) -> Session {
        Session::pooled(Arc::clone(self.shared()), Some(tenant.into()))
    }

    /// A session of the schema `public`, whatever the context, and whatever becomes of statements that name no tenant.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager_with(options().missing_tenant(MissingTenant::Reject));
    /// let sql = MetadataContext::run_sync("acme", || em.public().find::<User>().sql())?;
    /// assert!(sql.ends_with(r#"FROM "public"."users""#));
    /// # Ok::<(), Error>(())
    /// ```
    pub fn public(&self) -> Session {
        self.tenant(Tenant::PUBLIC)
    }

    /// The metadata, as the tenant of the current context sees and changes them: its own layer over the public one, and no other.
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
    pub fn metadata(&self) -> Result<Metadata, crate::layers::LayerError> {
        self.session.metadata()
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
        Driver::new(&self.shared().options, self.public())
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
        let ((open, idle), (more, more_idle)) =
            (self.shared().pool.status(), self.shared().databases.status());
        (open + more, idle + more_idle)
    }

    /// Closes all connections that are idle, and the others as they come back. Whoever asks for one from now on gets an error.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// # let em = manager();
    /// em.close();
    /// assert!(matches!(em.find::<User>().await, Err(Error::Connect(_))));
    /// # }
    /// ```
    pub fn close(&self) {
        self.shared().pool.close();
        self.shared().databases.close();
    }

    /// A session of public, whose statements mean the rows of all tenants where a column tells these apart.
    fn unscoped(&self) -> Session {
        Session { unscoped: true, ..self.public() }
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

/// The connections to the database of these options.
fn pool(options: &Options, guarded: bool) -> Result<Pool, Error> {
    match options.kind {
        DatabaseKind::Postgres => {
            if options.life.begins.is_some() && !options.strategy.guards_sessions() {
                let what = "after_connect has no effect through a proxy, which gives each transaction another session";
                return Err(Error::Options(what.into()));
            }
            let mut config = options.config.clone();
            if options.strategy.guards_sessions() {
                config.options(session_options(&config, &options.shared, guarded));
            }
            let connector = Arc::clone(&options.connector);
            let manager = Manager::new(config, Arc::clone(&connector), options);
            Ok(Pool::Postgres { pool: lease::pooled(manager, options, options.max_connections)?, connector })
        }
        #[cfg(feature = "sqlite")]
        DatabaseKind::Sqlite => {
            Ok(Pool::Sqlite(crate::sqlite::Manager::pool(options, options.path.clone())?))
        }
        other => Err(Error::Unsupported(other)),
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
