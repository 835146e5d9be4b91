//! The registry: the schemas of tenants, and their states. See `install.sql`, and `install` for its versions.

mod adopt;
mod install;
pub mod placements;

use std::fmt;
use std::str::FromStr;

use pgstrata_tenancy::schema;
use serde::Serialize;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use crate::Control;
use crate::error::Error;
use crate::name::SchemaName;

pub(crate) use install::{MOVES, is_current};
pub use install::{reading_grants, writing_grants};

/// The schema of the registry, which no tenant can have.
pub const SCHEMA: &str = schema::REGISTRY;

/// The channel for notifications of each change; the payload is the schema's name.
pub const CHANNEL: &str = "pgstrata_tenants";

/// The state of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The source of tenants. Clients are refused.
    Source,
    /// The schema is being created. Clients wait.
    Provisioning,
    /// Clients are served.
    Active,
    /// A migration with a fence is running. Clients wait.
    Migrating,
    /// Clients are refused until it is resumed.
    Suspended,
    /// The schema is about to be dropped. Clients are refused.
    Dropping,
}

impl State {
    const ALL: [Self; 6] =
        [Self::Source, Self::Provisioning, Self::Active, Self::Migrating, Self::Suspended, Self::Dropping];

    /// The name in the registry.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Provisioning => "provisioning",
            Self::Active => "active",
            Self::Migrating => "migrating",
            Self::Suspended => "suspended",
            Self::Dropping => "dropping",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for State {
    type Err = Error;

    fn from_str(state: &str) -> Result<Self, Error> {
        let known = Self::ALL.into_iter().find(|known| known.as_str() == state);
        known.ok_or_else(|| {
            Error::Refused(format!("the registry has the unknown state \"{state}\": a newer version of pgstrata may have written it"))
        })
    }
}

/// A tenant in the registry and the catalog.
#[derive(Clone, Debug, Serialize)]
pub struct Tenant {
    /// Its schema.
    pub schema: String,
    /// Its state; active if the registry has no row for it.
    pub state: State,
    /// The version of its last migration.
    pub version: Option<i64>,
    /// Whether the registry has a row for it.
    pub registered: bool,
    /// The time of the row's last change, in PostgreSQL's format.
    pub changed_at: Option<String>,
}

/// A tenant with its size.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// The tenant.
    #[serde(flatten)]
    pub tenant: Tenant,
    /// The owner of its schema.
    pub owner: String,
    /// The number of its tables, without partitions.
    pub tables: i64,
    /// The size of its tables and indexes on disk, in bytes.
    pub bytes: i64,
    /// The same, for people.
    pub size: String,
}

impl Tenant {
    fn of(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            schema: row.get("schema"),
            state: row.get::<_, &str>("state").parse()?,
            version: row.get("version"),
            registered: row.get("registered"),
            changed_at: row.get("changed_at"),
        })
    }
}

impl Control {
    /// All tenants, by name: schemas, and rows in the registry.
    pub async fn tenants(&self) -> Result<Vec<Tenant>, Error> {
        self.install().await?;
        let client = self.client().await?;
        let rows = client.query(include_str!("tenants.sql"), &[]).await;
        let rows = rows.map_err(Error::postgres("listing tenants"))?;
        let mut tenants = rows.iter().map(Tenant::of).collect::<Result<Vec<_>, _>>()?;
        tenants.retain(|tenant| {
            tenant.state != State::Source && SchemaName::new(&tenant.schema, self.settings()).is_ok()
        });
        Ok(tenants)
    }

    /// One tenant.
    pub async fn tenant(&self, schema: &SchemaName) -> Result<Shown, Error> {
        self.install().await?;
        let client = self.client().await?;
        let row = client.query_opt(include_str!("tenant.sql"), &[&schema.as_str()]).await;
        let row = row.map_err(Error::postgres("looking at a tenant"))?;
        let row = row.ok_or_else(|| Error::Missing(schema.to_string()))?;
        Ok(Shown {
            tenant: Tenant::of(&row)?,
            owner: row.get("owner"),
            tables: row.get("tables"),
            bytes: row.get("bytes"),
            size: row.get("size"),
        })
    }

    /// Changes a tenant's state from one of `from` to `to`. Proxies are notified at once.
    pub async fn set_state(&self, schema: &SchemaName, to: State, from: &[State]) -> Result<(), Error> {
        if !self.is_provisioned(schema.as_str()).await? {
            return Err(Error::Missing(schema.to_string()));
        }
        self.install().await?;
        let client = self.client().await?;
        let states: Vec<&str> = from.iter().map(|state| state.as_str()).collect();
        // A tenant that is about to be dropped may be registered; any other one would get all migrations from the
        // first one on.
        let sql = "INSERT INTO pgstrata_control.schemas AS s (schema, state) \
                   SELECT $1::text::name, $2 WHERE $2 = 'dropping' \
                       OR EXISTS (SELECT FROM pgstrata_control.schemas WHERE schema = $1::text::name) \
                   ON CONFLICT (schema) DO UPDATE SET state = excluded.state, changed_at = pg_catalog.now() \
                       WHERE s.state = ANY ($3::text[])";
        let doing = || Error::postgres(format!("changing the state of \"{schema}\""));
        let changed =
            client.execute(sql, &[&schema.as_str(), &to.as_str(), &states]).await.map_err(doing())?;
        if changed == 1 {
            return Ok(());
        }
        let sql = "SELECT state FROM pgstrata_control.schemas WHERE schema = $1::text::name";
        let now = client.query_opt(sql, &[&schema.as_str()]).await.map_err(doing())?;
        let Some(now) = now.map(|row| row.get::<_, String>(0)) else {
            return Err(Error::Refused(format!(
                "tenant \"{schema}\" is not registered: register it first with `pgstrata tenant adopt`"
            )));
        };
        Err(Error::Refused(format!("tenant \"{schema}\" is {now}: its state cannot be changed to {to}")))
    }

    /// Inserts or updates a schema's row in the registry.
    pub(crate) async fn register(
        &self,
        schema: &SchemaName,
        state: State,
        version: Option<i64>,
    ) -> Result<(), Error> {
        let sql = "INSERT INTO pgstrata_control.schemas (schema, state, version) VALUES ($1::text::name, $2, $3) \
                   ON CONFLICT (schema) DO UPDATE SET state = excluded.state, version = excluded.version, \
                       changed_at = now()";
        let client = self.client().await?;
        let done = client.execute(sql, &[&schema.as_str(), &state.as_str(), &version]).await;
        done.map(drop).map_err(Error::postgres(format!("registering \"{schema}\"")))
    }

    /// Deletes a schema's rows. `false` if there were none.
    pub(crate) async fn unregister(&self, schema: &SchemaName) -> Result<bool, Error> {
        let client = self.client().await?;
        let sql = "WITH ledger AS (DELETE FROM pgstrata_control.migrations WHERE schema = $1::text::name) \
                   DELETE FROM pgstrata_control.schemas WHERE schema = $1::text::name";
        let done = client.execute(sql, &[&schema.as_str()]).await;
        done.map(|rows| rows > 0).map_err(Error::postgres(format!("forgetting \"{schema}\"")))
    }
}

/// Whether an error means that the registry is missing or old.
pub(crate) fn is_missing(error: &tokio_postgres::Error) -> bool {
    let missing = [SqlState::INVALID_SCHEMA_NAME, SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN];
    error.code().is_some_and(|code| missing.contains(code))
}

/// SQL that takes a schema's lock for the transaction, or fails at once with 55P03.
///
/// It never waits: a waiting transaction holds a snapshot, and a `CREATE INDEX CONCURRENTLY` that holds the lock
/// would wait for that snapshot.
pub(crate) fn lock(schema: &str, shared: bool) -> String {
    let (keys, kind) = (lock_key(schema), if shared { "_shared" } else { "" });
    let words = literal(&format!("another command is at work on schema \"{schema}\""));
    block(&format!(
        "BEGIN IF NOT pg_catalog.pg_try_advisory_xact_lock{kind}({keys}) THEN \
         RAISE EXCEPTION USING MESSAGE = {words}, ERRCODE = '55P03'; END IF; END"
    ))
}

/// A `DO` block with this body, whatever quotes it contains.
pub(crate) fn block(body: &str) -> String {
    format!("DO {}", literal(body))
}

pub(crate) fn literal(text: &str) -> String {
    let mut out = String::new();
    pgstrata_tenancy::ident::push_literal(&mut out, text);
    out
}

/// The keys of the advisory lock that serializes changes of one schema, as SQL arguments.
pub(crate) fn lock_key(schema: &str) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, schema.as_bytes());
    let key = hash.as_ref().first_chunk().copied().map(i32::from_be_bytes).unwrap_or_default();
    format!("{LOCK}, {key}")
}

/// The first key of these locks, chosen to differ from those of other programs.
const LOCK: i32 = 0x7067_7374;
