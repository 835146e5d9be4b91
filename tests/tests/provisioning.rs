//! A tenant that was provisioned is like the source.

use pgstrata::demo::postgres::Cluster;
use pgstrata_control::provision::Ensured;
use pgstrata_control::{Control, SchemaName, Settings};
use pgstrata_tenancy::ident::quoted;
use pgstrata_tests::database::cluster;
use pgstrata_tests::dump::assert_alike;
use pgstrata_tests::stage::connect;
use tokio_postgres::{Client, NoTls};

const DATABASE: &str = "sources";

/// A database of its own in a cluster, and the control of it.
struct Ground {
    cluster: Cluster,
    admin: Client,
}

impl Ground {
    async fn new() -> Self {
        let cluster = cluster().await;
        let postgres = connect(&cluster.superuser("postgres")).await.unwrap();
        postgres.batch_execute(&format!("CREATE DATABASE {DATABASE}")).await.unwrap();
        let admin = connect(&cluster.superuser(DATABASE)).await.unwrap();
        Self { cluster, admin }
    }

    /// With all kinds of objects in schema `source`.
    async fn with_everything(source: &str) -> Self {
        let ground = Self::new().await;
        ground.run(include_str!("../schemas/everything/roles.sql")).await;
        let mut files = vec![
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
        if pgstrata_tests::database::install().major >= 18 {
            files.push(include_str!("../schemas/everything/newer.sql"));
        }
        ground.source(source, &files).await;
        ground
    }

    async fn run(&self, sql: &str) {
        if let Err(error) = self.admin.batch_execute(sql).await {
            panic!("{error}: {:?}", error.as_db_error());
        }
    }

    async fn source(&self, source: &str, files: &[&str]) {
        let name = quoted(source);
        self.run(&format!("CREATE SCHEMA IF NOT EXISTS {name}; SET search_path TO {name}")).await;
        for file in files {
            self.run(file).await;
        }
        self.run("RESET search_path").await;
    }

    fn control(&self, settings: Settings) -> Control {
        Control::new(self.cluster.superuser(DATABASE), NoTls, 4, settings).unwrap()
    }
}

fn from(source: &str) -> Settings {
    Settings { source: source.into(), ..Settings::default() }
}

async fn everything_from(source: &str) {
    let ground = Ground::with_everything(source).await;
    let control = ground.control(from(source));
    let tenant = SchemaName::new("acme", control.settings()).unwrap();
    match control.ensure_schema(&tenant).await {
        Ok(ensured) => assert_eq!(ensured, Ensured::Created),
        Err(error) => panic!("{error}"),
    }
    assert_alike(&ground.cluster, DATABASE, source, "acme", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_from_public() {
    everything_from("public").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_from_template() {
    everything_from("template").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_from_an_odd_name() {
    everything_from("Weird \"src\"").await;
}
