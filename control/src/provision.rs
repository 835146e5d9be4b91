//! Schemas for tenants: creating, finding, comparing names.

use std::collections::BTreeSet;
use std::sync::Arc;

use deadpool_postgres::Client;
use pgstrata_tenancy::RoleName;
use pgstrata_tenancy::ident::{quoted, search_path};
use pgstrata_tenancy::schema::ASIDE;
use serde::Serialize;
use tokio::task::JoinSet;
use tokio_postgres::IsolationLevel;
use tokio_postgres::error::SqlState;

use crate::Control;
use crate::access::is_about;
use crate::blueprint::item::Kind;
use crate::blueprint::item::filled;
use crate::blueprint::{Blueprint, Chosen};
use crate::error::Error;
use crate::name::SchemaName;
use crate::registry::{self, State, literal};

/// Whether a schema had to be made.
///
/// ```
/// use pgstrata_control::provision::Ensured;
///
/// /// Demo rows are for those who have nothing yet.
/// fn wants_demo_rows(ensured: Ensured) -> bool {
///     ensured == Ensured::Created
/// }
///
/// assert!(!wants_demo_rows(Ensured::Existed));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Ensured {
    /// It was created.
    Created,
    /// It existed.
    Existed,
}

/// What became of many.
///
/// ```
/// use pgstrata_control::provision::Synced;
///
/// let synced = Synced { created: vec!["acme".into()], skipped: vec!["globex".into()], ..Synced::default() };
/// assert!(synced.failed.is_empty(), "every tenant has its schema");
/// ```
#[derive(Debug, Default, Serialize)]
pub struct Synced {
    /// Newly made.
    pub created: Vec<String>,
    /// Existing ones.
    pub skipped: Vec<String>,
    /// Failed ones, with the reasons.
    pub failed: Vec<Failed>,
    /// Texts of the new schemas that may still refer to the source.
    pub remarks: Vec<String>,
}

/// A schema with which something failed.
///
/// ```
/// use pgstrata_control::provision::Failed;
///
/// # let (reason, sqlstate) = ("permission denied".into(), Some("42501".into()));
/// let failed = Failed { schema: "acme".into(), reason, sqlstate };
/// // insufficient_privilege: no use in trying again.
/// assert_eq!(failed.sqlstate.as_deref(), Some("42501"));
/// ```
#[derive(Debug, Serialize)]
pub struct Failed {
    /// Its name, as it was given.
    pub schema: String,
    /// The reason.
    pub reason: String,
    /// PostgreSQL's code for it.
    pub sqlstate: Option<String>,
}

impl Failed {
    /// Of what was given as `schema`.
    pub fn new(schema: &str, error: &Error) -> Self {
        Self {
            schema: schema.to_owned(),
            reason: error.to_string(),
            sqlstate: error.sqlstate().map(str::to_owned),
        }
    }
}

/// The source of a new tenant, as of now.
#[derive(Debug)]
pub struct Source {
    blueprint: Blueprint,
    /// The version of the source's last migration.
    version: Option<i64>,
    owner: Option<String>,
}

impl Source {
    /// Its structure.
    pub(crate) fn into_blueprint(self) -> Blueprint {
        self.blueprint
    }

    /// Removes the privileges of this role, which a copy must not have.
    pub(crate) fn forget_role(&mut self, role: &RoleName) {
        let privilege = |kind| matches!(kind, Kind::Privilege | Kind::DefaultPrivilege);
        self.blueprint.items.retain(|item| !privilege(item.kind) || !is_about(&item.sql(), role));
    }

    /// The version of its last migration.
    pub(crate) fn version(&self) -> Option<i64> {
        self.version
    }
}

impl Control {
    /// Reads the source, for [`Control::ensure_from`].
    pub async fn source(&self) -> Result<Source, Error> {
        self.install().await?;
        self.read_source(&self.settings().source, Chosen::Some(self.settings())).await
    }

    /// Reads a schema of which a copy is to be created.
    pub(crate) async fn read_source(&self, schema: &str, chosen: Chosen<'_>) -> Result<Source, Error> {
        let mut client = self.client().await?;
        let doing = || Error::postgres(format!("reading schema \"{schema}\""));
        // No migration changes it meanwhile: the session takes the lock before the transaction takes its snapshot,
        // and releases it with the connection.
        let lock = format!(
            "BEGIN; {}; SELECT pg_catalog.pg_advisory_lock_shared({}); COMMIT",
            registry::lock(schema, true),
            registry::lock_key(schema)
        );
        self.persistently(&client, &lock).await.map_err(doing())?;
        let tx = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).start().await;
        let tx = tx.map_err(doing())?;
        let version = tx
            .query_opt(
                "SELECT version FROM pgstrata_control.schemas WHERE schema OPERATOR(pg_catalog.=) $1::pg_catalog.text::pg_catalog.name",
                &[&schema],
            )
            .await
            .map_err(doing())?
            .and_then(|row| row.get(0));
        let blueprint = Blueprint::read(&tx, schema, chosen).await?;
        let owner = tx
            .query_one(
                // The owner of public depends on who created the database.
                "SELECT CASE WHEN nspname <> 'public' AND pg_get_userbyid(nspowner) <> current_user THEN quote_ident(pg_get_userbyid(nspowner)) END FROM pg_namespace WHERE nspname = $1::text::name",
                &[&schema],
            )
            .await
            .map_err(doing())?
            .get(0);
        tx.commit().await.map_err(doing())?;
        let unlock = format!("SELECT pg_catalog.pg_advisory_unlock_shared({})", registry::lock_key(schema));
        client.batch_execute(&unlock).await.map_err(doing())?;
        Ok(Source { blueprint, version, owner })
    }

    /// Creates `schema` with the structure of the source, unless it exists.
    ///
    /// All or nothing, in one transaction; any number of processes may call it at the same time.
    pub async fn ensure_schema(&self, schema: &SchemaName) -> Result<Ensured, Error> {
        if self.is_provisioned(schema.as_str()).await? {
            return Ok(Ensured::Existed);
        }
        let source = self.source().await?;
        self.ensure_from(schema, &source).await
    }

    /// Like [`Control::ensure_schema`], with a source that was read before.
    pub async fn ensure_from(&self, schema: &SchemaName, source: &Source) -> Result<Ensured, Error> {
        let client = self.client().await?;
        let sql = self.creation(schema, source)?;
        match self.persistently(&client, &sql).await {
            Ok(()) => Ok(Ensured::Created),
            // Another session was faster; its schema is complete.
            Err(error) if error.code() == Some(&SqlState::DUPLICATE_SCHEMA) => Ok(Ensured::Existed),
            Err(error) => {
                let doing = match self.culprit(&client, schema, source).await {
                    Some(item) => format!("making schema \"{schema}\", {item}"),
                    None => format!("making schema \"{schema}\""),
                };
                Err(Error::Postgres { doing, source: error })
            }
        }
    }

    /// The object that cannot be created: each is tried and rolled back. `None` if all succeed by now.
    async fn culprit(&self, client: &Client, schema: &SchemaName, source: &Source) -> Option<String> {
        let mut culprit = None;
        if client.batch_execute(&self.opening(schema, source)).await.is_ok() {
            for item in &source.blueprint.items {
                if client.batch_execute(&filled(&item.sql(), schema.as_str())).await.is_err() {
                    culprit = Some(format!("{} {}", item.kind, item.name));
                    break;
                }
            }
        }
        client.batch_execute("ROLLBACK").await.ok().and(culprit)
    }

    /// The beginning of the transaction that creates a tenant: the empty schema.
    fn opening(&self, schema: &SchemaName, source: &Source) -> String {
        let (name, settings) = (schema.quoted(), self.settings());
        let path = search_path(settings.path(schema.as_str(), &source.blueprint.source));
        let owner = source.owner.as_ref().map(|owner| format!(" AUTHORIZATION {owner}")).unwrap_or_default();
        format!(
            // Copied rows are from one snapshot, and no row security policy hides any.
            "BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL row_security = off;\n\
             SET LOCAL client_min_messages = warning; SET LOCAL check_function_bodies = off;\n\
             SET LOCAL default_tablespace = ''; SET LOCAL default_table_access_method = heap; SET LOCAL standard_conforming_strings = on;\n\
             {}; {};\n\
             CREATE SCHEMA {name}{owner}; SET LOCAL search_path = {path};\n",
            registry::lock(schema.as_str(), false),
            registry::lock(&source.blueprint.source, true),
        )
    }

    /// The whole creation of a tenant, in one text and so in one round trip.
    fn creation(&self, schema: &SchemaName, source: &Source) -> Result<String, Error> {
        let (name, settings) = (schema.quoted(), self.settings());
        let mut sql = self.opening(schema, source);
        sql += &source.blueprint.sql(schema.as_str());
        sql += "SET LOCAL search_path = pg_catalog;\n";
        sql += &source.blueprint.proof();
        sql += ";\n";
        if let Some(role) = settings.proxy_role.as_deref().map(quoted) {
            sql += &format!("GRANT USAGE ON SCHEMA {name} TO {role};\n");
        }
        sql += &settings.grants(schema)?;
        sql += &format!(
            // A leftover row of a schema that was dropped is not a tenant's.
            "INSERT INTO {}.schemas (schema, state, version) VALUES ({}, '{}', {}) ON CONFLICT (schema) DO UPDATE\n\
             SET state = excluded.state, version = excluded.version, changed_at = now();\nCOMMIT",
            registry::SCHEMA,
            literal(schema.as_str()),
            State::Active,
            source.version.map_or("NULL".into(), |version| version.to_string())
        );
        Ok(sql)
    }

    /// Ensures all of `names`, in parallel, as many as there are connections.
    ///
    /// `done` is called for each one when it ends: with its name, and `None` if it failed.
    pub async fn sync_tenant_schemas(
        &self,
        names: &[String],
        mut done: impl FnMut(&str, Option<Ensured>),
    ) -> Result<Synced, Error> {
        let mut synced = Synced::default();
        let there: BTreeSet<String> = self.get_provisioned_schemas().await?.into_iter().collect();
        let mut missing = Vec::new();
        let mut seen = BTreeSet::new();
        for name in names.iter().filter(|name| seen.insert(name.as_str())) {
            if there.contains(name) {
                done(name, Some(Ensured::Existed));
                synced.skipped.push(name.clone());
                continue;
            }
            match SchemaName::new(name, self.settings()) {
                Ok(schema) => missing.push(schema),
                Err(error) => {
                    done(name, None);
                    synced.failed.push(Failed::new(name, &error));
                }
            }
        }
        if missing.is_empty() {
            return Ok(synced);
        }
        let source = Arc::new(self.source().await?);
        let mut waiting = missing.into_iter();
        let mut running = JoinSet::new();
        let start = |schema: SchemaName, running: &mut JoinSet<_>| {
            let (control, source) = (self.clone(), Arc::clone(&source));
            running.spawn(async move {
                let result = control.ensure_from(&schema, &source).await;
                (schema, result)
            });
        };
        for schema in waiting.by_ref().take(self.workers()) {
            start(schema, &mut running);
        }
        while let Some(joined) = running.join_next().await {
            if let Some(schema) = waiting.next() {
                start(schema, &mut running);
            }
            // A task that panicked reports it itself; the others continue.
            let Ok((schema, result)) = joined else { continue };
            done(schema.as_str(), result.as_ref().ok().copied());
            match result {
                Ok(Ensured::Created) => synced.created.push(schema.to_string()),
                Ok(Ensured::Existed) => synced.skipped.push(schema.to_string()),
                Err(error) => synced.failed.push(Failed::new(schema.as_str(), &error)),
            }
        }
        synced.created.sort();
        if !synced.created.is_empty() {
            synced.remarks.clone_from(&source.blueprint.remarks);
        }
        Ok(synced)
    }

    /// All schemas of the database except PostgreSQL's own and pgstrata's; the source is included.
    pub async fn discover_schemas(&self) -> Result<Vec<String>, Error> {
        let sql = "SELECT nspname::pg_catalog.text FROM pg_catalog.pg_namespace \
                   WHERE nspname OPERATOR(pg_catalog.!~) '^pg_|^information_schema$|^pgstrata(_control)?$' \
                   ORDER BY nspname";
        let client = self.client().await?;
        let rows = client.query(sql, &[]).await.map_err(Error::postgres("listing schemas"))?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }

    /// Schemas that can be tenants': without the source, the shared and the reserved ones.
    pub async fn get_provisioned_schemas(&self) -> Result<Vec<String>, Error> {
        let mut schemas = self.discover_schemas().await?;
        // What a tenant has left behind is dropped, and nothing else is done to it.
        schemas
            .retain(|schema| !schema.starts_with(ASIDE) && SchemaName::new(schema, self.settings()).is_ok());
        Ok(schemas)
    }

    /// Whether there is such a schema.
    pub async fn is_provisioned(&self, schema: &str) -> Result<bool, Error> {
        let sql = "SELECT FROM pg_catalog.pg_namespace \
                   WHERE nspname OPERATOR(pg_catalog.=) $1::pg_catalog.text::pg_catalog.name";
        // PostgreSQL would truncate the name, and find another schema.
        if schema.len() > pgstrata_tenancy::ident::MAX_BYTES {
            return Ok(false);
        }
        let client = self.client().await?;
        let row = client.query_opt(sql, &[&schema]).await;
        Ok(row.map_err(Error::postgres("looking for a schema"))?.is_some())
    }
}
