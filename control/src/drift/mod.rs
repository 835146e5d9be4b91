//! The differences between a tenant's schema and the source, as SQL that removes them.
//!
//! # Layout
//! - `definitions`: a blueprint as single definitions that can be compared.
//! - `compare`: the drops, creations and alterations, in a possible order.
//! - `alter`: changes that need no new object.

mod alter;
mod compare;
mod definitions;

use pgstrata_tenancy::ident::search_path;
use serde::Serialize;
use tokio_postgres::IsolationLevel;

use crate::Control;
use crate::access::is_about;
use crate::blueprint::item::{Kind, SCHEMA, filled};
use crate::blueprint::{Blueprint, Chosen};
use crate::error::Error;
use crate::name::SchemaName;
use crate::registry::lock;

pub use compare::compare;

/// A kind of difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Difference {
    /// Only the source has it.
    Missing,
    /// Only the tenant has it.
    Extra,
    /// Both have it, with different definitions.
    Changed,
}

/// One difference, and the SQL that removes it.
#[derive(Clone, Debug, Serialize)]
pub struct Change {
    /// The kind of difference.
    pub difference: Difference,
    /// The kind of object.
    pub kind: Kind,
    /// Its name, quoted as in SQL.
    pub name: String,
    /// The SQL, to be run in the order of the list; empty if only a migration can remove the difference.
    pub sql: String,
    /// Whether the SQL deletes data.
    pub loses_data: bool,
    /// The reason why there is no SQL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why_not: Option<String>,
}

/// The SQL around the changes of one tenant.
#[derive(Clone, Debug)]
pub struct Frame {
    /// Begins the transaction, with the tenant's path.
    pub before: String,
    /// Checks that nothing depends on the source, and commits.
    pub after: String,
}

impl Control {
    /// The source's structure, for the comparison, without the tables that tenants do not get.
    pub async fn structure(&self) -> Result<Blueprint, Error> {
        self.install().await?;
        Ok(self.read_source(&self.settings().source, Chosen::Some(self.settings())).await?.into_blueprint())
    }

    /// The differences between the tenant and the source.
    pub async fn diff(&self, schema: &SchemaName, source: &Blueprint) -> Result<Vec<Change>, Error> {
        let mut client = self.client().await?;
        let doing = || Error::postgres(format!("reading schema \"{schema}\""));
        let tx = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).start();
        let tx = tx.await.map_err(doing())?;
        let tenant = Blueprint::read(&tx, schema.as_str(), Chosen::Like(&source.source)).await?;
        tx.commit().await.map_err(doing())?;
        let mut changes = compare(source, &tenant);
        // The owner of a schema, and so the privileges on it, are not compared with the source.
        let on_schema = format!(" ON SCHEMA {SCHEMA} ");
        changes.retain(|change| change.kind != Kind::Privilege || !change.sql.contains(&on_schema));
        if let Some(role) = self.settings().role(schema)? {
            let privilege = |kind| matches!(kind, Kind::Privilege | Kind::DefaultPrivilege);
            changes.retain(|change| !privilege(change.kind) || !is_about(&change.sql, &role.name));
        }
        for change in &mut changes {
            change.sql = filled(&change.sql, schema.as_str());
            change.name = filled(&change.name, schema.as_str());
        }
        Ok(changes)
    }

    /// The transaction for changes of this tenant. The SQL of a [`Change`] is valid only inside of it.
    pub fn frame(&self, schema: &SchemaName, source: &Blueprint) -> Frame {
        let path = search_path(self.settings().path(schema.as_str(), &source.source));
        let before = format!(
            "BEGIN;\nSET LOCAL client_min_messages = warning; SET LOCAL check_function_bodies = off;\n\
             SET LOCAL lock_timeout = {};\n{};\nSET LOCAL search_path = {path};\n",
            self.settings().lock_timeout.as_millis(),
            lock(schema.as_str(), false),
        );
        let after = format!("SET LOCAL search_path = pg_catalog;\n{};\nCOMMIT;\n", source.proof());
        Frame { before, after }
    }

    /// Runs the changes of the tenant, all or nothing; those that delete data only if `lossy`. Returns the changes
    /// that ran.
    pub async fn mend(
        &self,
        schema: &SchemaName,
        source: &Blueprint,
        lossy: bool,
    ) -> Result<(Vec<Change>, Vec<Change>), Error> {
        let changes = self.diff(schema, source).await?;
        let (run, left): (Vec<_>, Vec<_>) = changes.into_iter().partition(|change| {
            change.why_not.is_none() && !change.sql.is_empty() && (lossy || !change.loses_data)
        });
        self.grant_role(schema).await?;
        if run.is_empty() {
            return Ok((run, left));
        }
        let Frame { before, after } = self.frame(schema, source);
        let mut sql = before;
        for change in &run {
            sql += &change.sql;
            sql += ";\n";
        }
        sql += &after;
        let client = self.client().await?;
        self.persistently(&client, &sql).await.map_err(Error::postgres(format!("mending \"{schema}\"")))?;
        Ok((run, left))
    }
}
