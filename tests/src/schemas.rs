//! A source, tenants, and a folder of migrations.

use std::path::Path;
use std::time::Duration;

use pgstrata::demo::postgres::Cluster;
use pgstrata_control::migrate::{Migrations, Options, Report};
use pgstrata_control::{Control, Error, SchemaName, Settings};
use tempfile::TempDir;
use tokio_postgres::{Client, Config, NoTls};

use crate::database::cluster;
use crate::stage::connect;

/// The schema that tenants are made from.
pub const SOURCE: &str = "template";

/// A database with a source and tenants, and a folder of migrations. All of it goes with this value.
#[derive(Debug)]
pub struct Schemas {
    /// Whose life it is.
    pub control: Control,
    /// PostgreSQL's superuser in the same database.
    pub client: Client,
    /// The PostgreSQL that it is in.
    pub cluster: Cluster,
    folder: TempDir,
}

/// As tests want it: nobody waits for long.
pub fn settings() -> Settings {
    Settings {
        source: SOURCE.into(),
        lock_timeout: Duration::from_millis(50),
        retries: 3,
        ..Settings::default()
    }
}

/// A control that works on `workers` schemas at once.
pub fn control(config: Config, settings: Settings, workers: usize) -> Control {
    Control::new(config, NoTls, workers, settings).unwrap()
}

impl Schemas {
    /// The source and these tenants, empty, in a database where migrations can say in `public.ran` that they ran.
    pub async fn new(tenants: &[&str]) -> Self {
        Self::with(settings(), 4, tenants).await
    }

    /// As [`Schemas::new`], with settings and as many workers.
    pub async fn with(settings: Settings, workers: usize, tenants: &[&str]) -> Self {
        let cluster = cluster().await;
        let client = connect(&cluster.superuser("app")).await.unwrap();
        let ran = "CREATE TABLE public.ran (n serial, schema text, step text, state text);
                   CREATE FUNCTION public.ran(step text) RETURNS void LANGUAGE sql AS $$
                       INSERT INTO public.ran (schema, step, state)
                       SELECT s.schema, step, s.state FROM pgstrata_control.schemas AS s
                       WHERE s.schema = current_schema() $$";
        client
            .batch_execute("DROP SCHEMA acme_corp, globex CASCADE; SET check_function_bodies = off")
            .await
            .unwrap();
        client.batch_execute(&format!("CREATE SCHEMA {SOURCE}; {ran}")).await.unwrap();
        let control = control(cluster.superuser("app"), settings, workers);
        let schemas = Self { control, client, cluster, folder: tempfile::tempdir().unwrap() };
        schemas.tenants(tenants).await;
        schemas
    }

    /// More tenants, which have no migration.
    pub async fn tenants(&self, names: &[&str]) {
        for name in names {
            self.run(&format!("CREATE SCHEMA {}", quoted(name))).await;
        }
        let names: Vec<SchemaName> =
            names.iter().map(|name| SchemaName::new(name, self.control.settings()).unwrap()).collect();
        self.control.adopt(&names, None).await.unwrap();
    }

    /// So many tenants, `t0001` and on, with a table each.
    pub async fn crowd(&self, count: usize) {
        let make = format!(
            "DO $$ BEGIN FOR i IN 1..{count} LOOP
                 EXECUTE format('CREATE SCHEMA %I CREATE TABLE users (id int PRIMARY KEY, name text)',
                                't' || lpad(i::text, 4, '0'));
             END LOOP; END $$"
        );
        self.run(&make).await;
        let names =
            (1..=count).map(|i| SchemaName::new(&format!("t{i:04}"), self.control.settings()).unwrap());
        self.control.adopt(&names.collect::<Vec<_>>(), None).await.unwrap();
    }

    /// Another control of the same database, as another process would have it.
    pub fn another(&self, workers: usize) -> Control {
        control(self.cluster.superuser("app"), self.control.settings().clone(), workers)
    }

    /// Where the migrations are.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a migration.
    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// Takes a migration away.
    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.folder.path().join(name)).unwrap();
    }

    /// The migrations of the folder.
    pub fn migrations(&self) -> Migrations {
        Migrations::read(self.folder.path()).unwrap()
    }

    /// Migrates.
    pub async fn migrate(&self, options: &Options) -> Result<Report, Error> {
        self.control.migrate(&self.migrations(), options).await
    }

    /// Migrates, with everything as it comes; nothing fails.
    pub async fn bring(&self) -> Report {
        let report = self.migrate(&Options::default()).await.unwrap();
        assert!(report.is_ok(), "{:#?}", report.failed().collect::<Vec<_>>());
        report
    }

    /// Runs SQL as the superuser.
    pub async fn run(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    /// One value, as text.
    pub async fn value(&self, sql: &str) -> String {
        self.values(sql).await.pop().unwrap_or_default()
    }

    /// The first column of a query's answer, as text.
    pub async fn values(&self, sql: &str) -> Vec<String> {
        let sql = format!("SELECT q.v::text FROM ({sql}) AS q (v)");
        let rows = self.client.query(&sql, &[]).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        rows.iter().map(|row| row.get::<_, Option<String>>(0).unwrap_or_else(|| "NULL".into())).collect()
    }

    /// `schema step` for each time that a migration said that it ran, in order.
    pub async fn ran(&self) -> Vec<String> {
        self.values("SELECT schema || ' ' || step FROM public.ran ORDER BY n").await
    }

    /// `schema version state` for each schema of the registry.
    pub async fn standing(&self) -> Vec<String> {
        let versions = self.control.versions().await.unwrap();
        let line = |version: Option<i64>| version.map_or("-".into(), |version| version.to_string());
        versions.schemas.iter().map(|s| format!("{} {} {}", s.schema, line(s.version), s.state)).collect()
    }
}

/// A name as it stands in SQL.
pub fn quoted(name: &str) -> String {
    pgstrata_tenancy::ident::quoted(name)
}
