//! Schemas that existed before their registration.

use tokio_postgres::types::Type;

use crate::Control;
use crate::error::Error;
use crate::name::SchemaName;

impl Control {
    /// Registers existing schemas as active tenants with all migrations up to `version`, all or none. Returns those
    /// that were not registered before; the others are not changed.
    pub async fn adopt(&self, schemas: &[SchemaName], version: Option<i64>) -> Result<Vec<String>, Error> {
        self.install().await?;
        let names: Vec<&str> = schemas.iter().map(SchemaName::as_str).collect();
        let mut client = self.client().await?;
        let doing = || Error::postgres("registering schemas");
        let transaction = client.transaction().await.map_err(doing())?;
        let missing = "SELECT name FROM pg_catalog.unnest($1::text[]) AS name
                       WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = name) LIMIT 1";
        let missing = transaction.query_typed_opt(missing, &[(&names, Type::TEXT_ARRAY)]).await;
        if let Some(row) = missing.map_err(doing())? {
            return Err(Error::Missing(row.get(0)));
        }
        let adopt = "INSERT INTO pgstrata_control.schemas (schema, state, version)
                     SELECT name, 'active', $2 FROM pg_catalog.unnest($1::text[]) AS name
                     ON CONFLICT DO NOTHING RETURNING schema";
        let parameters: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 2] =
            [(&names, Type::TEXT_ARRAY), (&version, Type::INT8)];
        let adopted = transaction.query_typed(adopt, &parameters).await.map_err(doing())?;
        transaction.commit().await.map_err(doing())?;
        Ok(adopted.iter().map(|row| row.get(0)).collect())
    }

    /// Registers the source schema, if it is not registered.
    pub async fn register_source(&self) -> Result<(), Error> {
        let source = &self.settings().source;
        let register = "INSERT INTO pgstrata_control.schemas (schema, state)
                        SELECT nspname, 'source' FROM pg_catalog.pg_namespace WHERE nspname = $1
                        ON CONFLICT DO NOTHING";
        let state = "SELECT state FROM pgstrata_control.schemas WHERE schema = $1";
        let client = self.client().await?;
        let doing = || Error::postgres(format!("registering \"{source}\""));
        client.execute_typed(register, &[(source, Type::TEXT)]).await.map_err(doing())?;
        let row = client.query_typed_opt(state, &[(source, Type::TEXT)]).await.map_err(doing())?;
        match row.map(|row| row.get::<_, String>(0)).as_deref() {
            Some("source") => Ok(()),
            Some(_) => Err(Error::Refused(format!(
                "\"{source}\" is a tenant in the registry, so it cannot be the source: see \"source\" in [provision]"
            ))),
            None => Err(Error::Missing(source.clone())),
        }
    }
}
