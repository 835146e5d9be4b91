//! Which schemas are tenants', and how each one fares. See `install.sql`.

mod adopt;

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use tokio_postgres::error::SqlState;

use crate::Control;
use crate::error::Error;

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

impl Control {
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
        let mut sql = format!("BEGIN; SELECT pg_catalog.pg_advisory_xact_lock({LOCK}, 0); {steps};");
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

/// The first key of the advisory locks that keep commands apart; the second is the schema's hash.
pub(crate) const LOCK: i32 = 0x7067_7374;

/// Whether an error says that there is no registry, or an old one.
pub(crate) fn is_missing(error: &tokio_postgres::Error) -> bool {
    let missing = [SqlState::INVALID_SCHEMA_NAME, SqlState::UNDEFINED_TABLE, SqlState::UNDEFINED_COLUMN];
    error.code().is_some_and(|code| missing.contains(code))
}

/// Both keys of a schema's advisory lock, as they stand in SQL.
pub(crate) fn lock(schema: &str) -> String {
    let mut name = String::new();
    pgstrata_tenancy::ident::push_literal(&mut name, schema);
    format!("{LOCK}, pg_catalog.hashtext({name})")
}
