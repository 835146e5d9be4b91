//! Which schemas are tenants', and how each one fares. See `install.sql`.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

use crate::Control;
use crate::error::Error;

/// Creates the registry where there is none; the same again changes nothing.
const INSTALL: &str = include_str!("install.sql");

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

impl Control {
    /// Makes the registry if there is none, and lets proxies read it.
    pub async fn install(&self) -> Result<(), Error> {
        let client = self.client().await?;
        // Where it is there, nothing is to be done, and no right to create schemas is needed.
        let ready = "SELECT pg_catalog.to_regclass('pgstrata_control.migrations') IS NOT NULL";
        let doing = Error::postgres("making the registry");
        let row = match client.query_one(ready, &[]).await {
            Ok(row) => row,
            Err(error) => return Err(doing(error)),
        };
        if row.get(0) {
            return Ok(());
        }
        let mut sql = format!("BEGIN; SELECT pg_catalog.pg_advisory_xact_lock({}); {INSTALL};", lock_key(SCHEMA));
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

/// The keys of the advisory lock that keeps those apart who change one schema, as SQL's arguments.
pub(crate) fn lock_key(schema: &str) -> String {
    let hash = ring::digest::digest(&ring::digest::SHA256, schema.as_bytes());
    let key = hash.as_ref().first_chunk().copied().map(i32::from_be_bytes).unwrap_or_default();
    format!("{LOCK}, {key}")
}

/// The first key of these locks: no one else's, as far as that can be.
const LOCK: i32 = 0x7067_7374;
