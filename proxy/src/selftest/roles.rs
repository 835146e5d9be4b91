//! The roles of the two tenants, where the deployment's tier takes some.

use pgstrata_control::role_password;
use pgstrata_tenancy::Tier;
use pgstrata_tenancy::ident::{push_literal, quoted};
use tokio_postgres::Client;

use super::tenants::words;
use crate::config::{Config, Database};

/// Which roles are made for the test.
pub struct Roles {
    /// The tier that is tested.
    pub tier: Tier,
    /// The names of the two, quoted, in the order of the schemas. The servers' own in the tier `names`.
    pub names: [String; 2],
    /// What keeps the deployment's own tier from being tested.
    pub lacking: Option<String>,
    database: String,
    shared: Vec<String>,
}

impl Roles {
    /// Makes those of the deployment's tier, or none where that can't be done.
    pub async fn make(
        admin: &Client,
        config: &Config,
        name: &str,
        database: &Database,
        schemas: [&str; 2],
    ) -> Result<Self, String> {
        let mut roles = Self {
            tier: config.tenancy.tier,
            names: [quoted(&database.user), quoted(&database.user)],
            lacking: None,
            database: quoted(database.database.as_deref().unwrap_or(name)),
            shared: config.tenancy.shared_schemas.clone(),
        };
        if roles.tier == Tier::Names {
            return Ok(roles);
        }
        let row = admin.query_one("SELECT current_setting('server_version_num')::integer", &[]).await;
        let version: i32 = row.map_err(|error| words(&error))?.get(0);
        match roles.sql(config, database, schemas, version) {
            Ok((names, sql)) => match admin.batch_execute(&sql).await {
                Ok(()) => roles.names = names,
                Err(error) => {
                    roles.lacking = Some(words(&error));
                    admin.batch_execute("ROLLBACK").await.map_err(|error| words(&error))?;
                }
            },
            Err(error) => roles.lacking = Some(error),
        }
        if roles.lacking.is_some() {
            roles.tier = Tier::Names;
        }
        Ok(roles)
    }

    /// Their names, and a transaction that makes both.
    fn sql(
        &self,
        config: &Config,
        database: &Database,
        schemas: [&str; 2],
        version: i32,
    ) -> Result<([String; 2], String), String> {
        let mut sql = String::from("BEGIN;");
        let mut names = [String::new(), String::new()];
        // From PostgreSQL 16 on a grant says whether its rights are had without `SET ROLE`.
        let options = if version >= 160_000 { "WITH INHERIT FALSE, SET TRUE" } else { "" };
        for (schema, name) in schemas.into_iter().zip(&mut names) {
            let mut isolated = config.clone();
            isolated.tenancy.mode = crate::config::Mode::Route;
            let isolation = isolated.isolation(Some(schema), schema, &database.user);
            let isolation = isolation.map_err(|error| error.to_string())?;
            let Some(role) = isolation.role() else { continue };
            *name = role.quoted();
            sql += &format!("CREATE ROLE {name}; GRANT {name} TO {} {options};", quoted(&database.user));
            if let (Some(_), Some(key)) = (isolation.login(), config.tenancy.login_key.expose()) {
                let mut password = String::new();
                push_literal(&mut password, &role_password(key.as_bytes(), role.as_str()));
                sql += &format!("ALTER ROLE {name} LOGIN PASSWORD {password};");
            }
            sql += &format!("GRANT CONNECT, TEMPORARY ON DATABASE {} TO {name};", self.database);
            for shared in self.shared.iter().map(|shared| quoted(shared)) {
                sql += &format!("GRANT USAGE ON SCHEMA {shared} TO {name};");
            }
        }
        Ok((names, sql + "COMMIT"))
    }

    /// What drops them, once nothing is left of their schemas.
    pub fn removal(&self) -> String {
        let mut sql = String::new();
        for name in self.names.iter().filter(|_| self.tier != Tier::Names) {
            sql += &format!("REVOKE ALL ON DATABASE {} FROM {name};", self.database);
            for shared in self.shared.iter().map(|shared| quoted(shared)) {
                sql += &format!("REVOKE ALL ON SCHEMA {shared} FROM {name};");
            }
            sql += &format!("DROP ROLE {name};");
        }
        sql
    }
}
