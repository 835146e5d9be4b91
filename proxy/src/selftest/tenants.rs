//! The two temporary tenants, by a connection that bypasses the proxy.

use std::sync::Mutex;

use pgstrata_tenancy::Tier;
use pgstrata_tenancy::ident::push_literal;
use rand::RngExt;
use tokio_postgres::{Client, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::roles::Roles;
use crate::config::{Config, Database};
use crate::net::tls::client_tls_config;
use crate::tenant::connect::login;

/// The prefix of their names.
const PREFIX: &str = "pgstrata_selftest_";

/// The two tenants.
pub struct Tenants {
    admin: Client,
    /// The schema, and so the name, of the attacking tenant.
    pub own: String,
    /// The schema of the attacked tenant.
    pub other: String,
    /// A value that only the first tenant may read.
    pub own_secret: String,
    /// A value that only the second tenant may read.
    pub secret: String,
    /// Other values that no answer to the first tenant may contain: a value of the second tenant's rows that the
    /// catalog keeps, and the first digits of the numbers in its sequence.
    more: [String; 2],
    /// Their roles.
    pub roles: Roles,
    /// A table in a shared schema that no tenant may write to, quoted, with its schema and without.
    pub shared_table: Option<[String; 2]>,
    shared: Vec<String>,
    /// The last inspected state.
    before: Mutex<String>,
}

/// A connection that bypasses the proxy: by `url`, as the control role, or as the servers' role.
async fn connect(name: &str, database: &Database, url: Option<&str>) -> Result<Client, String> {
    let tls = client_tls_config(database).map_err(|error| error.to_string())?;
    let config = login(name, database, url, tls.is_some()).map_err(|error| error.to_string())?;
    let failed = |error: tokio_postgres::Error| format!("cannot connect to PostgreSQL: {}", words(&error));
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

/// PostgreSQL's message, which its error's Display omits.
pub fn words(error: &tokio_postgres::Error) -> String {
    pgstrata_control::error::postgres_words(error)
}

impl Tenants {
    /// Creates both tenants for a tier, or none, in this database of the configuration. `url` is another login than
    /// that of the file.
    pub async fn create(
        (config, name, url): (&Config, &str, Option<&str>),
        database: &Database,
        tier: Tier,
    ) -> Result<Self, String> {
        let admin = connect(name, database, url).await?;
        let mut random = rand::rng();
        let number: u64 = random.random();
        let [own, other] = ["a", "b"].map(|which| format!("{PREFIX}{number:016x}_{which}"));
        let mut secret = || format!("secret-{:016x}", random.random::<u64>());
        let (own_secret, their_secret, kept) = (secret(), secret(), secret());
        let draws = rand::random_range(1_000_000_000_u64..9_000_000_000).to_string();
        let mut tenants = Self {
            admin,
            own,
            other,
            own_secret,
            secret: their_secret,
            more: [kept, draws],
            roles: Roles::none(database),
            shared_table: None,
            shared: config.tenancy.shared_schemas.clone(),
            before: Mutex::default(),
        };
        let made = tenants.make((config, name, url), database, tier).await;
        if let Err(why) = made {
            tenants.remove().await?;
            return Err(why);
        }
        tenants.is_untouched().await?;
        Ok(tenants)
    }

    async fn make(
        &mut self,
        (config, name, url): (&Config, &str, Option<&str>),
        database: &Database,
        tier: Tier,
    ) -> Result<(), String> {
        self.admin.batch_execute(&self.sql()).await.map_err(|error| {
            format!(
                "cannot create two temporary schemas: {}. Name a role that may create schemas in \
                 [databases.{name}.control] or with --admin-url",
                words(&error)
            )
        })?;
        let schemas = [self.own.as_str(), self.other.as_str()];
        self.roles = Roles::make(&self.admin, (config, name, url), database, schemas, tier).await?;
        let mut sql = String::new();
        for (schema, role) in schemas.iter().zip(&self.roles.names) {
            sql += &format!(
                "GRANT ALL ON SCHEMA {schema} TO {role}; GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {role};
                 GRANT ALL ON ALL SEQUENCES IN SCHEMA {schema} TO {role};"
            );
        }
        self.admin.batch_execute(&sql).await.map_err(|error| words(&error))?;
        if !config.tenancy.shared_writes {
            self.shared_table = self.a_shared_table(&database.user).await?;
        }
        Ok(())
    }

    /// The SQL that creates the schemas.
    fn sql(&self) -> String {
        let mut sql = String::from("BEGIN;");
        for (schema, secret) in [(&self.own, &self.own_secret), (&self.other, &self.secret)] {
            sql += &format!(
                "CREATE SCHEMA {schema};
                 CREATE TABLE {schema}.secrets (id bigserial PRIMARY KEY, value text NOT NULL);
                 CREATE TABLE {schema}.notes (id bigserial PRIMARY KEY, value text);
                 INSERT INTO {schema}.secrets (value) VALUES ('{secret}');
                 INSERT INTO {schema}.notes (value) VALUES ('a note');"
            );
        }
        let [kept, draws] = &self.more;
        let other = &self.other;
        // The catalog keeps the value of an added column.
        sql += &format!(
            "ALTER TABLE {other}.secrets ADD COLUMN later text NOT NULL DEFAULT '{kept}';
             ALTER TABLE {other}.secrets ALTER COLUMN later DROP DEFAULT;
             ALTER SEQUENCE {other}.notes_id_seq RESTART WITH {draws}000;
             ALTER SEQUENCE {other}.secrets_id_seq RESTART WITH {draws}000;"
        );
        sql + "COMMIT"
    }

    /// The text of an attack with the names of the two schemas.
    pub fn fill(&self, text: &str) -> String {
        let (o1, o2) = self.other.split_at(PREFIX.len() / 2);
        let text = text.replace("{o1}", o1).replace("{o2}", o2);
        let text = text.replace("{own}", &self.own).replace("{other}", &self.other);
        match &self.shared_table {
            Some([shared, bare]) => text.replace("{shared}", shared).replace("{bare}", bare),
            None => text,
        }
    }

    /// Whether the bytes contain a value of the second tenant.
    pub fn are_told_in(&self, bytes: &[u8]) -> bool {
        let markers = self.more.iter().chain([&self.secret]);
        markers.into_iter().any(|marker| memchr::memmem::find(bytes, marker.as_bytes()).is_some())
    }

    /// Whether the attacked tenant and the shared schemas are unchanged since the last call.
    pub async fn is_untouched(&self) -> Result<bool, String> {
        let now = self.state().await?;
        let mut before = self.before.lock().map_err(|error| error.to_string())?;
        Ok(std::mem::replace(&mut *before, now.clone()) == now)
    }

    /// Everything that an attack could change in the second tenant and in shared schemas.
    async fn state(&self) -> Result<String, String> {
        let schema = &self.other;
        // By name, so that a missing table is a difference and no error.
        let catalog = format!(
            "SELECT concat_ws('|', n.nspacl, (SELECT string_agg(concat_ws(',', c.relname, c.relkind, c.relacl, \
             c.relhassubclass, obj_description(c.oid), (SELECT string_agg(attname, '.' ORDER BY attnum) FROM \
             pg_attribute WHERE attrelid = c.oid)), ';' ORDER BY c.relname) FROM pg_class c WHERE c.relnamespace = n.oid)) \
             FROM pg_namespace n WHERE n.nspname = '{schema}'"
        );
        let rows = format!(
            "SELECT (SELECT string_agg(s::text, ';' ORDER BY id) FROM {schema}.secrets s) || \
             (SELECT string_agg(s::text, ';' ORDER BY id) FROM {schema}.notes s) || \
             (SELECT concat(last_value, is_called) FROM {schema}.secrets_id_seq)"
        );
        let shared = format!(
            "SELECT string_agg(concat_ws(',', relname, relkind, relacl), ';' ORDER BY relnamespace, relname) FROM pg_class \
             WHERE relnamespace IN (SELECT oid FROM pg_namespace WHERE nspname = ANY (ARRAY[{}]::text[]))",
            self.shared.iter().map(|schema| literal(schema)).collect::<Vec<_>>().join(", ")
        );
        let mut state = String::new();
        for sql in [catalog, rows, shared] {
            match self.admin.query_opt(&sql, &[]).await {
                Ok(Some(row)) => state += row.get::<_, Option<&str>>(0).unwrap_or_default(),
                Ok(None) => state += "gone",
                Err(error) if error.as_db_error().is_some() => state += &words(&error),
                Err(error) => return Err(format!("cannot inspect the second tenant: {error}")),
            }
        }
        Ok(state)
    }

    /// The values of one column of a query.
    pub async fn ask(&self, sql: &str) -> Result<Vec<String>, String> {
        let rows = self.admin.query(sql, &[]).await.map_err(|error| words(&error))?;
        Ok(rows.iter().filter_map(|row| row.try_get(0).ok()).collect())
    }

    /// The views in shared schemas, quoted.
    pub async fn shared_views(&self) -> Result<Vec<String>, String> {
        let schemas: Vec<String> = self.shared.iter().map(|schema| literal(schema)).collect();
        let sql = format!(
            "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind = 'v' AND n.nspname = ANY (ARRAY[{}]::text[]) ORDER BY 1",
            schemas.join(", ")
        );
        self.ask(&sql).await
    }

    /// The first shared table that the servers' role may read.
    async fn a_shared_table(&self, role: &str) -> Result<Option<[String; 2]>, String> {
        let schemas: Vec<String> = self.shared.iter().map(|schema| literal(schema)).collect();
        let (schemas, role) = (schemas.join(", "), literal(role));
        let sql = format!(
            "SELECT format('%I.%I', n.nspname, c.relname), quote_ident(c.relname) \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('r', 'p') AND n.nspname = ANY (ARRAY[{schemas}]::text[]) \
             AND has_table_privilege({role}::name, c.oid, 'SELECT') ORDER BY 1 LIMIT 1"
        );
        let row = self.admin.query_opt(&sql, &[]).await.map_err(|error| words(&error))?;
        Ok(row.map(|row| [row.get(0), row.get(1)]))
    }

    /// Drops both schemas.
    pub async fn remove(&self) -> Result<(), String> {
        let sql = format!("ROLLBACK; DROP SCHEMA IF EXISTS {}, {} CASCADE", self.own, self.other);
        let failed = |error| format!("cannot drop {} and {}: {}", self.own, self.other, words(&error));
        self.admin.batch_execute(&sql).await.map_err(failed)?;
        self.roles.remove(&self.admin).await
    }
}

pub(super) fn literal(value: &str) -> String {
    let mut out = String::new();
    push_literal(&mut out, value);
    out
}
