//! Tenants' schemas: made from a source, found, counted. The work is done by the control library, as for the proxy's command line.
//!
//! # Layout
//! - [`TenantMigrationRunner`], [`PostgresTenantMigrationRunner`]: what can be asked.
//! - `existing`: schemas that are there already.

mod existing;

use std::collections::BTreeSet;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use pgstrata_control::provision::Ensured;
use pgstrata_control::{Control, SchemaName, Settings};
use pgstrata_tenancy::Pattern;
use pgstrata_tenancy::layers::PUBLIC;
use tokio_postgres::Config;

use crate::tls::Connector;
use crate::{DatabaseKind, Error, Options, Session};

/// What became of many schemas: see [`TenantMigrationRunner::sync_tenant_schemas`].
pub use pgstrata_control::provision::{Failed, Synced};

/// How many schemas are made at once.
const WORKERS: usize = 4;

/// What makes tenants' schemas in one database, for a [`PostgresTenantMigrationRunner`]. It is the manager's: [`EntityManager::driver`](crate::EntityManager::driver).
///
/// ```
/// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
/// # let em = manager();
/// let runner = PostgresTenantMigrationRunner::new(em.driver())?;
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone)]
pub struct Driver {
    kind: DatabaseKind,
    config: Config,
    connector: Arc<dyn Connector>,
    /// Tables that are in one schema for all: by schema and name.
    pinned: BTreeSet<(&'static str, &'static str)>,
    shared: Vec<String>,
    /// Of the schema public.
    session: Session,
    /// Whether tenants have schemas.
    schemas: bool,
}

impl Driver {
    pub(crate) fn new(options: &Options, session: Session) -> Self {
        let pinned = options.entities.iter().filter_map(|entity| Some((entity.schema?, entity.table)));
        Self {
            kind: options.kind,
            config: options.config.clone(),
            connector: Arc::clone(&options.connector),
            pinned: pinned.collect(),
            shared: options.shared.clone(),
            session,
            schemas: !crate::strategy::is_in_public(&*options.strategy),
        }
    }

    /// What it makes schemas in.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// assert_eq!(em.driver().kind(), DatabaseKind::Postgres);
    /// ```
    pub fn kind(&self) -> DatabaseKind {
        self.kind
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// The answer of a runner, when it is there.
///
/// ```no_run
/// # use pgstrata_orm::{Running, TenantMigrationRunner};
/// /// Whether all of them have their schemas.
/// fn are_provisioned<'r>(runner: &'r dyn TenantMigrationRunner, tenants: &'r [&'r str]) -> Running<'r, bool> {
///     Box::pin(async move {
///         let there = runner.get_provisioned_schemas().await?;
///         Ok(tenants.iter().all(|tenant| there.iter().any(|name| name == tenant)))
///     })
/// }
/// ```
pub type Running<'r, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'r>>;

/// Makes tenants' schemas, and tells which there are.
///
/// ```no_run
/// # use pgstrata_orm::{Error, TenantMigrationRunner};
/// # async fn example(runner: &dyn TenantMigrationRunner) -> Result<(), Error> {
/// if !runner.is_provisioned("acme_corp").await? {
///     runner.ensure_schema("acme_corp").await?;
/// }
/// # Ok(())
/// # }
/// ```
pub trait TenantMigrationRunner: fmt::Debug + Send + Sync {
    /// Makes a tenant's schema, unless it is there. All or nothing; any number of processes may ask for it at once. A schema that is there
    /// and lacks something of the source's gets it; what it has in another way stays as it is. The source is never changed.
    ///
    /// ```no_run
    /// # use pgstrata_orm::{Ensured, Error, TenantMigrationRunner};
    /// # async fn example(runner: &dyn TenantMigrationRunner) -> Result<(), Error> {
    /// runner.ensure_schema("acme_corp").await?;
    /// assert_eq!(runner.ensure_schema("acme_corp").await?, Ensured::Existed);
    /// # Ok(())
    /// # }
    /// ```
    fn ensure_schema<'r>(&'r self, tenant: &'r str) -> Running<'r, Ensured>;

    /// Makes all of these that are not there, and the tables of those that are there and empty.
    ///
    /// ```no_run
    /// # use pgstrata_orm::{Error, TenantMigrationRunner};
    /// # async fn example(runner: &dyn TenantMigrationRunner) -> Result<(), Error> {
    /// let synced = runner.sync_tenant_schemas(&["acme_corp", "globex"]).await?;
    /// for failed in &synced.failed {
    ///     eprintln!("{}: {}", failed.schema, failed.reason);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    fn sync_tenant_schemas<'r>(&'r self, tenants: &'r [&'r str]) -> Running<'r, Synced>;

    /// All schemas of the database, the source among them.
    ///
    /// ```no_run
    /// # use pgstrata_orm::{Error, TenantMigrationRunner};
    /// # async fn example(runner: &dyn TenantMigrationRunner) -> Result<(), Error> {
    /// let schemas = runner.discover_schemas().await?;
    /// assert!(schemas.iter().any(|schema| schema == "public"));
    /// # Ok(())
    /// # }
    /// ```
    fn discover_schemas(&self) -> Running<'_, Vec<String>>;

    /// Whether a tenant has its schema, with a table of the source's in it at least. The source is no tenant's.
    ///
    /// ```no_run
    /// # use pgstrata_orm::{Error, TenantMigrationRunner};
    /// # async fn example(runner: &dyn TenantMigrationRunner, tenant: &str) -> Result<(), Error> {
    /// if !runner.is_provisioned(tenant).await? {
    ///     println!("{tenant} has not signed up");
    /// }
    /// # Ok(())
    /// # }
    /// ```
    fn is_provisioned<'r>(&'r self, tenant: &'r str) -> Running<'r, bool>;

    /// The tenants that have their schemas, as [`TenantMigrationRunner::is_provisioned`] tells.
    ///
    /// ```no_run
    /// # use pgstrata_orm::{EntityManager, Error, MetadataContext, TenantMigrationRunner};
    /// # async fn example(em: EntityManager, runner: &dyn TenantMigrationRunner) -> Result<(), Error> {
    /// for tenant in runner.get_provisioned_schemas().await? {
    ///     MetadataContext::run(tenant, em.execute("DELETE FROM drafts", &[])).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    fn get_provisioned_schemas(&self) -> Running<'_, Vec<String>>;
}

/// What schemas are made from, and how.
///
/// ```
/// let options = pgstrata_orm::RunnerOptions::new().source_schema("template");
/// ```
#[derive(Clone, Debug)]
pub struct RunnerOptions {
    source: String,
    settings: Option<Settings>,
}

impl Default for RunnerOptions {
    fn default() -> Self {
        Self { source: PUBLIC.into(), settings: None }
    }
}

impl RunnerOptions {
    /// From the schema `public`.
    ///
    /// ```
    /// # use pgstrata_orm::RunnerOptions;
    /// let (new, public) = (RunnerOptions::new(), RunnerOptions::default().source_schema("public"));
    /// assert_eq!(format!("{new:?}"), format!("{public:?}"));
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// From this schema.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let options = RunnerOptions::new().source_schema("template");
    /// let runner = PostgresTenantMigrationRunner::with_options(em.driver(), options)?;
    /// assert_eq!(runner.control().settings().source, "template");
    /// # Ok::<(), Error>(())
    /// ```
    pub fn source_schema(mut self, schema: impl Into<String>) -> Self {
        self.source = schema.into();
        self
    }

    /// With all that the control library can be told: roles, rows to copy, tables to leave out. The source schema is still the one
    /// of [`RunnerOptions::source_schema`]. Shared are the schemas of these settings (`public`, by default) and those of
    /// [`Options::shared_schemas`], as each tenant has them on its path.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let options = options().shared_schemas(["extensions"]);
    /// # let em = manager_with(options);
    /// use pgstrata_orm::Pattern;
    /// use pgstrata_orm::control::Settings;
    ///
    /// // A new tenant begins with the rows of this table.
    /// let settings = Settings { seed: vec![Pattern::new("countries")], ..Settings::default() };
    /// let options = RunnerOptions::new().settings(settings);
    /// let runner = PostgresTenantMigrationRunner::with_options(em.driver(), options)?;
    /// assert_eq!(runner.control().settings().shared, ["extensions", "public"]);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = Some(settings);
        self
    }
}

/// Makes schemas in PostgreSQL: each like the source, with its tables, keys, indexes, sequences, functions and rights. Entities that are pinned
/// to the source stay there, for all.
///
/// ```no_run
/// use pgstrata_orm::{EntityManager, PostgresTenantMigrationRunner, RunnerOptions, TenantMigrationRunner};
///
/// # async fn example(em: EntityManager) -> Result<(), pgstrata_orm::Error> {
/// let options = RunnerOptions::new().source_schema("public");
/// let runner = PostgresTenantMigrationRunner::with_options(em.driver(), options)?;
/// runner.ensure_schema("acme_corp").await?;
/// let result = runner.sync_tenant_schemas(&["acme_corp", "globex", "initech"]).await?;
/// assert_eq!(result.created, ["globex", "initech"]);
/// assert_eq!(result.skipped, ["acme_corp"]);
/// assert!(runner.is_provisioned("acme_corp").await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct PostgresTenantMigrationRunner {
    control: Control,
    session: Session,
}

impl PostgresTenantMigrationRunner {
    /// Of the schema `public`.
    ///
    /// ```no_run
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # async fn example(em: EntityManager) -> Result<(), Error> {
    /// let runner = PostgresTenantMigrationRunner::new(em.driver())?;
    /// let tenants: Vec<String> = runner.get_provisioned_schemas().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::Unsupported`] where the driver is no PostgreSQL's.
    pub fn new(driver: Driver) -> Result<Self, Error> {
        Self::with_options(driver, RunnerOptions::new())
    }

    /// With options.
    ///
    /// ```
    /// # mod blog { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/examples/blog.rs")); } use blog::*;
    /// # let em = manager();
    /// let template = RunnerOptions::new().source_schema("template");
    /// let runner = PostgresTenantMigrationRunner::with_options(em.driver(), template)?;
    /// // What is in public is everybody's then.
    /// assert_eq!(runner.control().settings().shared, ["public"]);
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// As of [`PostgresTenantMigrationRunner::new`].
    pub fn with_options(driver: Driver, options: RunnerOptions) -> Result<Self, Error> {
        driver.kind.require_schemas()?;
        if !driver.schemas {
            let what = "tenants of this strategy have no schemas: their tables are in public";
            return Err(Error::Options(what.into()));
        }
        let mut settings = options.settings.unwrap_or_else(|| {
            // What is in public is everybody's where public is not what tenants are made from.
            let public = (options.source != PUBLIC).then(|| PUBLIC.to_owned());
            Settings { shared: public.into_iter().collect(), ..Settings::default() }
        });
        // What is on each tenant's path is shared, whatever else is said.
        settings.shared.retain(|own| !driver.shared.contains(own));
        settings.shared.splice(0..0, driver.shared);
        settings.source = options.source;
        let pinned = driver.pinned.iter().filter(|(schema, _)| *schema == settings.source);
        settings.exclude.extend(pinned.map(|(_, table)| Pattern::new(table)));
        let control = driver.connector.control(driver.config, WORKERS, settings)?;
        Ok(Self { control, session: driver.session })
    }

    /// The control library, for all else that can be done with tenants: migrations, clones, archives, drift.
    ///
    /// ```no_run
    /// # use pgstrata_orm::{Error, PostgresTenantMigrationRunner};
    /// # async fn example(runner: PostgresTenantMigrationRunner) -> Result<(), Error> {
    /// use pgstrata_orm::control::SchemaName;
    ///
    /// let control = runner.control();
    /// let [from, to] = ["acme_corp", "acme_staging"].map(|name| SchemaName::new(name, control.settings()));
    /// control.clone_schema(&from?, &to?).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn control(&self) -> &Control {
        &self.control
    }
}

impl TenantMigrationRunner for PostgresTenantMigrationRunner {
    fn ensure_schema<'r>(&'r self, tenant: &'r str) -> Running<'r, Ensured> {
        Box::pin(existing::ensure(&self.control, &self.session, tenant))
    }

    fn sync_tenant_schemas<'r>(&'r self, tenants: &'r [&'r str]) -> Running<'r, Synced> {
        Box::pin(async move {
            let source = |name: &&str| **name == self.control.settings().source;
            let (sources, others): (Vec<&str>, Vec<&str>) = tenants.iter().partition(|name| source(name));
            let names: Vec<String> = others.into_iter().map(str::to_owned).collect();
            let mut synced = self.control.sync_tenant_schemas(&names, |_, _| {}).await?;
            existing::complete_all(&self.control, &self.session, &mut synced.skipped, &mut synced.failed)
                .await?;
            // What they are made from is there.
            synced.skipped.extend(sources.first().map(|source| (*source).to_owned()));
            Ok(synced)
        })
    }

    fn discover_schemas(&self) -> Running<'_, Vec<String>> {
        Box::pin(async move { Ok(self.control.discover_schemas().await?) })
    }

    fn is_provisioned<'r>(&'r self, tenant: &'r str) -> Running<'r, bool> {
        Box::pin(async move {
            let is_name = SchemaName::new(tenant, self.control.settings()).is_ok();
            if !is_name || !self.control.is_provisioned(tenant).await? {
                return Ok(false);
            }
            let found = existing::with_tables(&self.control, &self.session, vec![tenant.to_owned()]).await?;
            Ok(!found.is_empty())
        })
    }

    fn get_provisioned_schemas(&self) -> Running<'_, Vec<String>> {
        Box::pin(async move {
            let schemas = self.control.get_provisioned_schemas().await?;
            existing::with_tables(&self.control, &self.session, schemas).await
        })
    }
}
