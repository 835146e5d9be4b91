//! A database with a schema that tenants are made from, and no proxy.

use std::path::PathBuf;

use pgstrata::demo::postgres::Cluster;
use pgstrata_control::provision::Ensured;
use pgstrata_control::{Control, Error, SchemaName, Settings};
use pgstrata_tenancy::ident::quoted;
use tempfile::TempDir;
use tokio::process::Command;
use tokio_postgres::{Client, NoTls};

use crate::database::{cluster, install};
use crate::program::pgstrata;
use crate::stage::connect;

/// The database.
pub const DATABASE: &str = "sources";

/// All kinds of objects, in the order in which they are made.
const EVERYTHING: [&str; 10] = [
    include_str!("../schemas/everything/types.sql"),
    include_str!("../schemas/everything/tables.sql"),
    include_str!("../schemas/everything/indexes.sql"),
    include_str!("../schemas/everything/functions.sql"),
    include_str!("../schemas/everything/views.sql"),
    include_str!("../schemas/everything/triggers.sql"),
    include_str!("../schemas/everything/search.sql"),
    include_str!("../schemas/everything/names.sql"),
    include_str!("../schemas/everything/comments.sql"),
    include_str!("../schemas/everything/rights.sql"),
];

/// A cluster with an empty database of that name. It goes when this is dropped.
#[derive(Debug)]
pub struct Ground {
    /// The cluster.
    pub cluster: Cluster,
    /// A superuser's connection.
    pub admin: Client,
    folder: TempDir,
}

impl Ground {
    /// With nothing in it but the role `maker`, a superuser that logs in with a password: its name.
    pub async fn new() -> Self {
        let cluster = cluster().await;
        let postgres = connect(&cluster.superuser("postgres")).await.unwrap();
        postgres.batch_execute("CREATE ROLE maker SUPERUSER LOGIN PASSWORD 'maker'").await.unwrap();
        postgres.batch_execute(&format!("CREATE DATABASE {DATABASE}")).await.unwrap();
        let admin = connect(&cluster.superuser(DATABASE)).await.unwrap();
        Self { cluster, admin, folder: tempfile::tempdir().unwrap() }
    }

    /// With these statements run in schema `source`.
    pub async fn with(source: &str, sql: &str) -> Self {
        let ground = Self::new().await;
        ground.source(source, &[sql]).await;
        ground
    }

    /// With all kinds of objects in schema `source`.
    pub async fn with_everything(source: &str) -> Self {
        let ground = Self::for_everything().await;
        ground.source(source, &EVERYTHING).await;
        if install().major >= 18 {
            ground.source(source, &[include_str!("../schemas/everything/newer.sql")]).await;
        }
        ground
    }

    /// With nothing but what that schema needs of the cluster and the database.
    pub async fn for_everything() -> Self {
        let ground = Self::new().await;
        ground.run(include_str!("../schemas/everything/roles.sql")).await;
        ground.run("SET allow_in_place_tablespaces = on").await;
        ground.run("CREATE TABLESPACE eq_space LOCATION ''").await;
        ground
    }

    /// Runs statements as superuser.
    pub async fn run(&self, sql: &str) {
        if let Err(error) = self.admin.batch_execute(sql).await {
            panic!("{error}: {:?}\n{sql:.200}", error.as_db_error());
        }
    }

    /// Runs statements with schema `schema` alone on the path.
    pub async fn source(&self, schema: &str, statements: &[&str]) {
        let name = quoted(schema);
        self.run(&format!("CREATE SCHEMA IF NOT EXISTS {name}; SET search_path TO {name}")).await;
        for sql in statements {
            self.run(sql).await;
        }
        self.run("RESET search_path").await;
    }

    /// The first column of a query's answer.
    pub async fn names(&self, query: &str) -> Vec<String> {
        crate::stage::names(&self.admin, query).await
    }

    /// All objects and all settings of the database, so that nothing can come to be unnoticed.
    pub async fn inventory(&self) -> Vec<String> {
        self.names(include_str!("inventory.sql")).await
    }

    /// Control with the superuser's connections.
    pub fn control(&self, settings: Settings) -> Control {
        Control::new(self.cluster.superuser(DATABASE), NoTls, 4, settings).unwrap()
    }

    /// Control of tenants that are made from `source`, with no shared schemas.
    pub fn control_of(&self, source: &str) -> Control {
        self.control(Settings { source: source.into(), shared: Vec::new(), ..Settings::default() })
    }

    /// Makes a tenant from `source`.
    pub async fn provision(&self, source: &str, tenant: &str) -> Result<Ensured, Error> {
        ensure(&self.control_of(source), tenant).await
    }

    /// `pgstrata tenant`, with a file that has these lines in its section `provision`.
    pub fn command(&self, provision: &str) -> Command {
        let mut program = pgstrata();
        program.args(["tenant", "--config"]).arg(self.configuration(provision));
        program
    }

    fn configuration(&self, provision: &str) -> PathBuf {
        let port = self.cluster.port();
        let path = self.folder.path().join("pgstrata.toml");
        let text = format!(
            "[listen]\naddress = '127.0.0.1:1'\n[provision]\n{provision}\n[databases.{DATABASE}]\n\
             host = '127.0.0.1'\nport = {port}\nuser = 'maker'\npassword = 'maker'\ntls = 'disable'\n\
             [[users]]\nname = 'app'\npassword = 'app'\ntenants = ['*']\n"
        );
        std::fs::write(&path, text).unwrap();
        path
    }
}

/// Makes a tenant.
pub async fn ensure(control: &Control, tenant: &str) -> Result<Ensured, Error> {
    control.ensure_schema(&SchemaName::new(tenant, control.settings())?).await
}
