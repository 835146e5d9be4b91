//! Schemas that existed before the registry, and contain some of the migrations already.

use tokio_postgres::types::Type;

use super::migration::Migrations;
use crate::error::Error;
use crate::{Control, registry};

impl Control {
    /// Marks the source, and each tenant without a version, as having all migrations up to `version`. Nothing runs.
    /// Returns the marked schemas.
    pub async fn baseline(&self, migrations: &Migrations, version: i64) -> Result<Vec<String>, Error> {
        self.install().await?;
        self.register_source().await?;
        let source = &self.settings().source;
        let mut client = self.client().await?;
        let doing = || Error::postgres(format!("marking schemas as being at version {version}"));
        let transaction = client.transaction().await.map_err(doing())?;
        let hold = format!("SELECT pg_catalog.pg_advisory_xact_lock({})", registry::lock_key(source));
        transaction.batch_execute(&hold).await.map_err(doing())?;
        let at = "SELECT version FROM pgstrata_control.schemas WHERE schema = $1 FOR UPDATE";
        let row = transaction.query_typed_one(at, &[(source, Type::TEXT)]).await.map_err(doing())?;
        if let Some(at) = row.get::<_, Option<i64>>(0) {
            return Err(Error::Refused(format!(
                "schema \"{source}\" already has version {at}: a baseline is for schemas without a version"
            )));
        }
        let mark = "UPDATE pgstrata_control.schemas SET version = $1, changed_at = pg_catalog.now()
                    WHERE version IS NULL AND state IN ('source', 'active', 'migrating', 'suspended')
                    RETURNING schema";
        let marked = transaction.query_typed(mark, &[(&version, Type::INT8)]).await.map_err(doing())?;
        // The rows in the ledger make later changes of a file, and files with a lower version, detectable.
        let write = "INSERT INTO pgstrata_control.migrations (schema, version, name, checksum, state)
                     VALUES ($1, $2, $3, $4, 'done') ON CONFLICT DO NOTHING";
        for migration in migrations.iter().filter(|migration| migration.version <= version) {
            let row: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 4] = [
                (source, Type::TEXT),
                (&migration.version, Type::INT8),
                (&&*migration.name, Type::TEXT),
                (&&migration.checksum[..], Type::BYTEA),
            ];
            transaction.execute_typed(write, &row).await.map_err(doing())?;
        }
        transaction.commit().await.map_err(doing())?;
        let mut marked: Vec<String> = marked.iter().map(|row| row.get(0)).collect();
        marked.sort();
        Ok(marked)
    }
}
