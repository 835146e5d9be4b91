//! The registry of tenants, changed as an administrator does: past the proxy.

use tokio_postgres::Client;

use crate::Stage;

/// What makes the registry.
pub const INSTALL: &str = include_str!("../../control/src/registry/install.sql");

/// What lets the proxy read it.
pub const GRANT: &str =
    "GRANT USAGE ON SCHEMA pgstrata_control TO app; GRANT SELECT ON pgstrata_control.schemas TO app";

/// A superuser's connection to a database with a registry.
#[derive(Debug)]
pub struct Registry {
    /// PostgreSQL's superuser in database `app`.
    pub server: Client,
}

impl Registry {
    /// Makes the registry, with no tenant in it.
    pub async fn install(stage: &Stage) -> Self {
        let server = stage.superuser().await;
        server.batch_execute(&format!("{INSTALL}; {GRANT}")).await.unwrap();
        Self { server }
    }

    /// From now on the schema fares so.
    pub async fn set(&self, schema: &str, state: &str) {
        let sql = "INSERT INTO pgstrata_control.schemas (schema, state) VALUES ($1::text::name, $2)
                   ON CONFLICT (schema) DO UPDATE SET state = excluded.state";
        self.server.execute(sql, &[&schema, &state]).await.unwrap();
    }

    /// The registry knows nothing of the schema.
    pub async fn remove(&self, schema: &str) {
        let sql = "DELETE FROM pgstrata_control.schemas WHERE schema = $1::text::name";
        self.server.execute(sql, &[&schema]).await.unwrap();
    }

    /// The schema is gone, and the registry's row with it.
    pub async fn drop(&self, schema: &str) {
        let sql = format!(
            "BEGIN; DELETE FROM pgstrata_control.schemas WHERE schema = '{schema}';
             DROP SCHEMA {schema} CASCADE; COMMIT"
        );
        self.server.batch_execute(&sql).await.unwrap();
    }

    /// Runs SQL as the superuser.
    pub async fn run(&self, sql: &str) {
        self.server.batch_execute(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }
}
