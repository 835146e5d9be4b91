//! The two throw-away tenants, by a connection that goes past the proxy.

use rand::RngExt;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::roles::Roles;
use crate::catalog::control::settings;
use crate::config::{Config, Database};
use crate::pool::tls::client_tls_config;

/// What all of their names begin with.
const PREFIX: &str = "pgstrata_selftest_";

/// Two tenants whose tables nobody needs.
pub struct Tenants {
    admin: Client,
    /// The schema, and so the name, of the one that attacks.
    pub own: String,
    /// Of the one that is attacked.
    pub other: String,
    /// What only the first may read.
    pub own_secret: String,
    /// What only the second may read.
    pub secret: String,
    /// As whom PostgreSQL knows them.
    pub roles: Roles,
    before: String,
}

/// A connection past the proxy: as `url` says, or as the proxy's servers log in.
pub async fn connect(name: &str, database: &Database, url: Option<&str>) -> Result<Client, String> {
    let tls = client_tls_config(database).map_err(|error| error.to_string())?;
    let mut config = match url {
        Some(url) => url.parse().map_err(|_| "--admin-url is no connection URL".to_owned())?,
        None => settings(name, database, tls.is_some()).map_err(|error| error.to_string())?,
    };
    if tls.is_none() {
        config.ssl_mode(SslMode::Disable);
    }
    let failed = |error: tokio_postgres::Error| format!("can not connect to PostgreSQL: {}", words(&error));
    let client = match tls {
        Some(tls) => {
            let (client, connection) =
                config.connect(MakeRustlsConnect::new((*tls).clone())).await.map_err(failed)?;
            tokio::spawn(connection);
            client
        }
        None => {
            let (client, connection) = config.connect(NoTls).await.map_err(failed)?;
            tokio::spawn(connection);
            client
        }
    };
    Ok(client)
}

/// PostgreSQL's own words, which its error's Display leaves out.
pub fn words(error: &tokio_postgres::Error) -> String {
    pgstrata_control::error::postgres_words(error)
}

impl Tenants {
    /// Makes them, all or nothing, in the database that the configuration has by this name.
    pub async fn create(
        admin: Client,
        config: &Config,
        name: &str,
        database: &Database,
    ) -> Result<Self, String> {
        let mut random = rand::rng();
        let (number, one, other): (u64, u64, u64) = (random.random(), random.random(), random.random());
        let [own, theirs] = ["a", "b"].map(|which| format!("{PREFIX}{number:016x}_{which}"));
        let secret = |n: u64| format!("secret-{n:016x}");
        let roles = Roles::make(&admin, config, name, database, [&own, &theirs]).await?;
        let mut tenants = Self {
            admin,
            own,
            other: theirs,
            own_secret: secret(one),
            secret: secret(other),
            roles,
            before: String::new(),
        };
        if let Err(error) = tenants.admin.batch_execute(&tenants.sql()).await {
            let failed = format!(
                "can not make two throw-away schemas: {}. GRANT CREATE ON DATABASE to the role for the \
                 time of the test, or name another login with --admin-url",
                words(&error)
            );
            tenants.remove().await?;
            return Err(failed);
        }
        tenants.before = tenants.state().await?;
        Ok(tenants)
    }

    /// What makes the schemas.
    fn sql(&self) -> String {
        let mut sql = String::from("BEGIN;");
        let each = [(&self.own, &self.own_secret), (&self.other, &self.secret)];
        for ((schema, secret), role) in each.into_iter().zip(&self.roles.names) {
            sql += &format!(
                "CREATE SCHEMA {schema}; GRANT ALL ON SCHEMA {schema} TO {role};
                 CREATE TABLE {schema}.secrets (id serial PRIMARY KEY, value text NOT NULL);
                 INSERT INTO {schema}.secrets (value) VALUES ('{secret}');
                 GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {role};
                 GRANT ALL ON ALL SEQUENCES IN SCHEMA {schema} TO {role};"
            );
        }
        sql + "COMMIT"
    }

    /// Whether the attacked tenant is as it was made.
    pub async fn is_untouched(&self) -> Result<bool, String> {
        Ok(self.state().await? == self.before)
    }

    /// All that an attack could change of the second tenant.
    async fn state(&self) -> Result<String, String> {
        let schema = &self.other;
        // By name, so that a table which is gone is a difference and no error.
        let catalog = format!(
            "SELECT concat_ws('|', n.nspacl, (SELECT string_agg(concat_ws(',', c.relname, c.relkind, c.relacl, \
             c.relhassubclass, obj_description(c.oid), (SELECT string_agg(attname, '.' ORDER BY attnum) FROM \
             pg_attribute WHERE attrelid = c.oid)), ';' ORDER BY c.relname) FROM pg_class c WHERE c.relnamespace = n.oid)) \
             FROM pg_namespace n WHERE n.nspname = '{schema}'"
        );
        let rows = format!(
            "SELECT (SELECT string_agg(s::text, ';' ORDER BY id) FROM {schema}.secrets s) || \
             (SELECT last_value FROM {schema}.secrets_id_seq)"
        );
        let mut state = String::new();
        for sql in [catalog, rows] {
            match self.admin.query_opt(&sql, &[]).await {
                Ok(Some(row)) => state += row.get::<_, Option<&str>>(0).unwrap_or_default(),
                Ok(None) => state += "gone",
                Err(error) if error.as_db_error().is_some() => state += &words(&error),
                Err(error) => return Err(format!("can not look at the second tenant: {error}")),
            }
        }
        Ok(state)
    }

    /// One value that the database says of itself.
    pub async fn ask(&self, sql: &str) -> Result<Vec<String>, String> {
        let rows = self.admin.query(sql, &[]).await.map_err(|error| words(&error))?;
        Ok(rows.iter().filter_map(|row| row.try_get(0).ok()).collect())
    }

    /// Takes both away.
    pub async fn remove(&self) -> Result<(), String> {
        let roles = self.roles.removal();
        let sql = format!("ROLLBACK; DROP SCHEMA IF EXISTS {}, {} CASCADE; {roles}", self.own, self.other);
        let failed = |error| format!("can not drop {} and {}: {}", self.own, self.other, words(&error));
        self.admin.batch_execute(&sql).await.map_err(failed)
    }
}
