//! How the registry comes to be, and to its newest version.

use std::sync::atomic::Ordering;

use pgstrata_tenancy::ident::quoted;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use super::{SCHEMA, lock_key};
use crate::Control;
use crate::error::{Error, postgres_words};

/// The SQL that creates the registry, and the changes of later versions, in order. Each step can be run again: if
/// fewer steps are recorded than there are here, all of them run.
const STEPS: [&str; 4] = [
    include_str!("install.sql"),
    include_str!("placements.sql"),
    include_str!("privileges.sql"),
    include_str!("moves.sql"),
];

/// The first version of all. What it has is enough for a database that is on one cluster.
const FIRST: usize = 1;

/// The first version with placements.
pub(super) const PLACEMENTS: usize = 2;

/// The first version with moves.
pub(crate) const MOVES: usize = 4;

/// The comment on the registry's schema, with the number of completed steps.
const COMMENT: &str = "pgstrata registry, version ";

/// What is there: the comment on the registry's schema, and whether a role can read its tables; null where there is no
/// such role.
const LOOK: &str = "
SELECT obj_description(to_regnamespace('pgstrata_control')::oid, 'pg_namespace'),
  (SELECT bool_and(has_schema_privilege(r.oid, n.oid, 'USAGE') AND has_table_privilege(r.oid, c.oid, 'SELECT'))
   FROM pg_catalog.pg_roles r, pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid
   WHERE r.rolname = $1::name AND n.nspname = 'pgstrata_control' AND c.relname IN ('schemas', 'placements'))";

/// SQL that lets `role` read which tenants there are, how each fares, and where it lives: what the role of the proxy's
/// servers needs.
pub fn reading_grants(role: &str) -> String {
    let role = quoted(role);
    format!(
        "GRANT USAGE ON SCHEMA {SCHEMA} TO {role}; GRANT SELECT ON {SCHEMA}.schemas, {SCHEMA}.placements TO {role};"
    )
}

/// SQL that lets `role` say where tenants live.
pub fn writing_grants(role: &str) -> String {
    let role = quoted(role);
    format!(
        "GRANT USAGE ON SCHEMA {SCHEMA} TO {role}; \
         GRANT SELECT, INSERT, UPDATE, DELETE ON {SCHEMA}.placements, {SCHEMA}.moves, {SCHEMA}.copies TO {role}; \
         GRANT USAGE ON SEQUENCE {SCHEMA}.generations TO {role};"
    )
}

impl Control {
    /// Creates or upgrades the registry, and lets proxies read it. Where its role may not, the registry stays as it is:
    /// what an earlier version has is enough for all but placements. [`Settings::warn`] is told.
    ///
    /// [`Settings::warn`]: crate::Settings::warn
    pub async fn install(&self) -> Result<(), Error> {
        self.install_at_least(FIRST).await
    }

    /// The same; the error: it may not, and the registry is of an older version than `needed`.
    pub(crate) async fn install_at_least(&self, needed: usize) -> Result<(), Error> {
        let client = self.client().await?;
        let role = self.settings().proxy_role.as_deref();
        let row = client.query_typed_one(LOOK, &[(&role, Type::TEXT)]).await;
        let row = row.map_err(Error::postgres("looking at the registry"))?;
        let version = version(row.get(0));
        let unread = row.get::<_, Option<bool>>(1) == Some(false);
        // If it is current, nothing is to be done, and no privilege to create schemas is needed.
        if version >= STEPS.len() && !unread || version >= needed && self.left_old.load(Ordering::Relaxed) {
            return Ok(());
        }
        let grants = role.map(reading_grants).unwrap_or_default();
        let sql = match version >= STEPS.len() {
            true => format!("BEGIN; {grants} COMMIT"),
            false => upgrade(&grants),
        };
        let Err(error) = client.batch_execute(&sql).await else { return Ok(()) };
        // The error that counts is the first one.
        let _ = client.batch_execute("ROLLBACK").await;
        if version < needed || error.code() != Some(&SqlState::INSUFFICIENT_PRIVILEGE) {
            return Err(Error::postgres("making the registry")(error));
        }
        self.left_old.store(true, Ordering::Relaxed);
        let words = postgres_words(&error);
        (self.settings().warn)(&match version >= STEPS.len() {
            true => format!(
                "the registry stays unreadable for the role of the proxy's servers: {words}. Run as its owner: {grants}"
            ),
            false => format!(
                "the registry stays at version {version}, of {}: {words}. Run `pgstrata tenant list` once as \
                 its owner.",
                STEPS.len()
            ),
        });
        Ok(())
    }
}

/// SQL that runs all steps, and `grants` behind them.
fn upgrade(grants: &str) -> String {
    let (lock, steps, version) = (lock_key(SCHEMA), STEPS.join(";"), STEPS.len());
    format!(
        "BEGIN; SELECT pg_catalog.pg_advisory_xact_lock({lock}); {steps}; \
         COMMENT ON SCHEMA {SCHEMA} IS '{COMMENT}{version}'; {grants} COMMIT"
    )
}

/// The number of completed steps; 0: there is no registry.
fn version(comment: Option<&str>) -> usize {
    let version = comment.and_then(|comment| comment.strip_prefix(COMMENT));
    version.and_then(|version| version.parse().ok()).unwrap_or(0)
}

/// Whether the registry's comment says that all steps, or more, have completed.
pub(crate) fn is_current(comment: Option<&str>) -> bool {
    version(comment) >= STEPS.len()
}
