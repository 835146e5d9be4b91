//! Which schemas are tenants', and how each one fares. See `install.sql`.

mod adopt;

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use tokio_postgres::Row;
use tokio_postgres::error::SqlState;

use crate::Control;
use crate::error::Error;
use crate::name::SchemaName;

/// What makes the registry, and what later versions of it change, in order. Each can be run again: whoever
/// finds fewer steps done than there are here runs all of them.
const STEPS: [&str; 1] = [include_str!("install.sql")];

/// The comment on the registry's schema, with the number of steps that were done.
const COMMENT: &str = "pgstrata registry, version ";

/// The schema that holds it, which no tenant can have.
pub const SCHEMA: &str = "pgstrata_control";

/// The channel that tells, with the schema's name as payload, of each change in it.
pub const CHANNEL: &str = "pgstrata_tenants";

/// How a schema fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Tenants are made from it. No client is let in.
    Source,
    /// It is being made. Clients wait.
    Provisioning,
    /// Clients are served.
    Active,
    /// A migration runs that wants nobody near. Clients wait.
    Migrating,
    /// Clients are refused until it is resumed.
    Suspended,
    /// It is about to be gone. Clients are refused.
    Dropping,
}

impl State {
    const ALL: [Self; 6] =
        [Self::Source, Self::Provisioning, Self::Active, Self::Migrating, Self::Suspended, Self::Dropping];

    /// As the registry has it.
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
            Error::Refused(format!("the registry has a state that is not known here: \"{state}\""))
        })
    }
}

/// A tenant, as far as the registry and the catalog know it.
#[derive(Clone, Debug, Serialize)]
pub struct Tenant {
    /// Its schema.
    pub schema: String,
    /// How it fares; active where the registry has no row for it.
    pub state: State,
    /// Of the last migration that it has.
    pub version: Option<i64>,
    /// Whether the registry has a row for it.
    pub registered: bool,
    /// When that was changed last, as PostgreSQL writes it.
    pub changed_at: Option<String>,
}

/// A tenant, and how much of it there is.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// The tenant.
    #[serde(flatten)]
    pub tenant: Tenant,
    /// Who owns its schema.
    pub owner: String,
    /// How many tables it has, partitions not counted.
    pub tables: i64,
    /// What its tables and indexes take on the disk, in bytes.
    pub bytes: i64,
    /// The same for people.
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
    /// All tenants, by name: of each one its schema, or a row in the registry.
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

    /// Brings a tenant from one of the states `from` to the state `to`. Proxies are told at once.
    pub async fn set_state(&self, schema: &SchemaName, to: State, from: &[State]) -> Result<(), Error> {
        if !self.is_provisioned(schema.as_str()).await? {
            return Err(Error::Missing(schema.to_string()));
        }
        self.install().await?;
        let client = self.client().await?;
        let states: Vec<&str> = from.iter().map(|state| state.as_str()).collect();
        // To register one that is to be dropped is safe; any other would be given all migrations from the first one on.
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
                "tenant \"{schema}\" is not registered: adopt it first, with the version that it has"
            )));
        };
        Err(Error::Refused(format!("tenant \"{schema}\" is {now}, and so can't become {to} now")))
    }

    /// Gives a schema a row in the registry, or changes the one that it has.
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

    /// Takes a schema's rows away. `false`: it had none.
    pub(crate) async fn unregister(&self, schema: &SchemaName) -> Result<bool, Error> {
        let client = self.client().await?;
        let sql = "WITH ledger AS (DELETE FROM pgstrata_control.migrations WHERE schema = $1::text::name) \
                   DELETE FROM pgstrata_control.schemas WHERE schema = $1::text::name";
        let done = client.execute(sql, &[&schema.as_str()]).await;
        done.map(|rows| rows > 0).map_err(Error::postgres(format!("forgetting \"{schema}\"")))
    }

    /// Makes the registry if there is none or an old one, and lets proxies read it.
    pub async fn install(&self) -> Result<(), Error> {
        let client = self.client().await?;
        // Where it is there, nothing is to be done, and no right to create schemas is needed.
        let ready = format!(
            "SELECT pg_catalog.obj_description(pg_catalog.to_regnamespace('{SCHEMA}')::oid, 'pg_namespace')"
        );
        let doing = Error::postgres("making the registry");
        let row = match client.query_one(&ready, &[]).await {
            Ok(row) => row,
            Err(error) => return Err(doing(error)),
        };
        if is_current(row.get(0)) {
            return Ok(());
        }
        let steps = STEPS.join(";");
        let lock = lock_key(SCHEMA);
        let mut sql = format!("BEGIN; SELECT pg_catalog.pg_advisory_xact_lock({lock}); {steps};");
        sql += &format!("COMMENT ON SCHEMA {SCHEMA} IS '{COMMENT}{}';", STEPS.len());
        let role = self.settings().proxy_role.as_deref();
        if let Some(role) = role.map(pgstrata_tenancy::ident::quoted) {
            sql += &format!(
                "GRANT USAGE ON SCHEMA {SCHEMA} TO {role}; GRANT SELECT ON {SCHEMA}.schemas TO {role};"
            );
        }
        sql += "COMMIT";
        client.batch_execute(&sql).await.map_err(doing)
    }
}

/// Whether the registry's comment says that all steps were done; one that is newer is as good.
pub(crate) fn is_current(comment: Option<&str>) -> bool {
    let version = comment.and_then(|comment| comment.strip_prefix(COMMENT));
    version.and_then(|version| version.parse().ok()).is_some_and(|done: usize| done >= STEPS.len())
}

/// Whether an error says that there is no registry, or an old one.
pub(crate) fn is_missing(error: &tokio_postgres::Error) -> bool {
    let missing = [SqlState::INVALID_SCHEMA_NAME, SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN];
    error.code().is_some_and(|code| missing.contains(code))
}

/// SQL that takes a schema's lock for the transaction, or fails at once with 55P03.
///
/// It never waits: who does has a snapshot meanwhile, and a `CREATE INDEX CONCURRENTLY` that the lock is held for
/// waits for all of these.
pub(crate) fn lock(schema: &str, shared: bool) -> String {
    let (keys, kind) = (lock_key(schema), if shared { "_shared" } else { "" });
    let words = literal(&format!("another command is at work on schema \"{schema}\""));
    block(&format!(
        "BEGIN IF NOT pg_catalog.pg_try_advisory_xact_lock{kind}({keys}) THEN \
         RAISE EXCEPTION USING MESSAGE = {words}, ERRCODE = '55P03'; END IF; END"
    ))
}

/// A `DO` of this body, whatever quotes are in it.
pub(crate) fn block(body: &str) -> String {
    format!("DO {}", literal(body))
}

pub(crate) fn literal(text: &str) -> String {
    let mut out = String::new();
    pgstrata_tenancy::ident::push_literal(&mut out, text);
    out
}

/// The keys of the advisory lock that keeps those apart who change one schema, as SQL's arguments.
pub(crate) fn lock_key(schema: &str) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, schema.as_bytes());
    let key = hash.as_ref().first_chunk().copied().map(i32::from_be_bytes).unwrap_or_default();
    format!("{LOCK}, {key}")
}

/// The first key of these locks: no one else's, as far as that can be.
const LOCK: i32 = 0x7067_7374;
