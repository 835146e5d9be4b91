//! Clones, renames and drops schemas.

use std::time::Duration;

use deadpool_postgres::Client;
use pgstrata_tenancy::ident::search_path;
use tokio_postgres::error::SqlState;

use crate::Control;
use crate::blueprint::Chosen;
use crate::blueprint::item::{Kind, SCHEMA, filled};
use crate::error::Error;
use crate::name::SchemaName;
use crate::provision::Ensured;
use crate::registry::{State, literal, lock};

/// The first pause between attempts; pauses double.
const PAUSE: Duration = Duration::from_millis(50);

/// The time for proxies to receive the notification that a tenant is about to be dropped.
const HEARD: Duration = Duration::from_millis(250);

impl Control {
    /// Creates `to` as a copy of `from` with its rows, from one snapshot.
    pub async fn clone_schema(&self, from: &SchemaName, to: &SchemaName) -> Result<(), Error> {
        self.install().await?;
        self.must_be_new(to).await?;
        let mut source = self.read_source(from.as_str(), Chosen::All).await?;
        if let Some(role) = self.settings().role(from)? {
            source.forget_role(&role.name);
        }
        match self.ensure_from(to, &source).await? {
            Ensured::Created => Ok(()),
            Ensured::Existed => Err(Error::Exists(to.to_string())),
        }
    }

    /// Renames a tenant's schema, also in the texts of its functions.
    ///
    /// Its clients are closed, because their tenant no longer exists.
    pub async fn rename_schema(&self, from: &SchemaName, to: &SchemaName) -> Result<(), Error> {
        self.install().await?;
        self.must_be_new(to).await?;
        let client = self.client().await?;
        let doing = || Error::postgres(format!("renaming \"{from}\" to \"{to}\""));
        let named = self.read_source(from.as_str(), Chosen::Structure).await?.into_blueprint();
        let mut sql = format!(
            "BEGIN; SET LOCAL lock_timeout = {}; {}; {};\n\
             ALTER SCHEMA {} RENAME TO {};\n",
            self.settings().lock_timeout.as_millis(),
            lock(from.as_str(), false),
            lock(to.as_str(), false),
            from.quoted(),
            to.quoted(),
        );
        // PostgreSQL does not change texts of functions that name the schema.
        let path = search_path(self.settings().path(to.as_str(), &self.settings().source));
        sql += &format!("SET LOCAL check_function_bodies = off; SET LOCAL search_path = {path};\n");
        for item in named.items.iter().filter(|item| item.kind == Kind::Function) {
            let create = item.sql();
            if create.contains(SCHEMA) {
                sql += &format!("{};\n", filled(&create, to.as_str()));
            }
        }
        sql += "SET LOCAL search_path = pg_catalog;\n";
        sql += &format!(
            "UPDATE pgstrata_control.schemas SET schema = {new}, changed_at = now() WHERE schema = {old};\n\
             UPDATE pgstrata_control.migrations SET schema = {new} WHERE schema = {old};\n\
             SELECT pg_notify('pgstrata_tenants', {old}), pg_notify('pgstrata_tenants', {new});\n\
             {roles}COMMIT",
            roles = self.settings().renamed_role(from, to)?,
            new = literal(to.as_str()),
            old = literal(from.as_str()),
        );
        match self.persistently(&client, &sql).await {
            Err(error) if error.code() == Some(&SqlState::INVALID_SCHEMA_NAME) => {
                Err(Error::Missing(from.to_string()))
            }
            done => done.map_err(doing()),
        }
    }

    /// Drops a tenant's schema with all its objects. Its clients are refused from the beginning.
    ///
    /// An interrupted drop can be repeated. Objects outside of the schema are not dropped: if one depends on the
    /// schema, the drop is refused.
    pub async fn drop_schema(&self, schema: &SchemaName) -> Result<(), Error> {
        let all = [State::Provisioning, State::Active, State::Migrating, State::Suspended, State::Dropping];
        let doing = || Error::postgres(format!("dropping \"{schema}\""));
        self.install().await?;
        if !self.is_provisioned(schema.as_str()).await? {
            // If another session has dropped the schema, only the registration is left to remove.
            return match self.unregister(schema).await? {
                true => Ok(()),
                false => Err(Error::Missing(schema.to_string())),
            };
        }
        let client = self.client().await?;
        let rows = client
            .query(include_str!("registry/outsiders.sql"), &[&schema.as_str()])
            .await
            .map_err(doing())?;
        if !rows.is_empty() {
            let needed: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
            return Err(Error::Refused(format!(
                "schema \"{schema}\" cannot be dropped because other objects depend on it: {}",
                needed.join(", ")
            )));
        }
        self.set_state(schema, State::Dropping, &all).await?;
        // A request that a proxy sends before the notification would find tables of the shared schemas with these
        // names.
        tokio::time::sleep(HEARD).await;
        let sql = format!(
            "BEGIN; SET LOCAL client_min_messages = warning; SET LOCAL lock_timeout = {};\n\
             {};\n\
             DROP SCHEMA {} CASCADE;\n\
             DELETE FROM pgstrata_control.migrations WHERE schema = {name};\n\
             DELETE FROM pgstrata_control.schemas WHERE schema = {name};\n\
             {}COMMIT",
            self.settings().lock_timeout.as_millis(),
            lock(schema.as_str(), false),
            schema.quoted(),
            self.settings().ungrants(schema)?,
            name = literal(schema.as_str()),
        );
        self.persistently(&client, &sql).await.map_err(doing())
    }

    async fn must_be_new(&self, schema: &SchemaName) -> Result<(), Error> {
        match self.is_provisioned(schema.as_str()).await? {
            true => Err(Error::Exists(schema.to_string())),
            false => Ok(()),
        }
    }

    /// Runs a transaction, and tries again after a lock time-out, so that queued transactions can run.
    pub(crate) async fn persistently(&self, client: &Client, sql: &str) -> Result<(), tokio_postgres::Error> {
        let mut pause = PAUSE;
        let mut left = self.settings().retries;
        loop {
            let Err(error) = client.batch_execute(sql).await else { return Ok(()) };
            client.batch_execute("ROLLBACK").await?;
            let waits = [SqlState::LOCK_NOT_AVAILABLE, SqlState::T_R_DEADLOCK_DETECTED];
            if left == 0 || !error.code().is_some_and(|code| waits.contains(code)) {
                return Err(error);
            }
            left -= 1;
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(2));
        }
    }
}
