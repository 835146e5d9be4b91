//! The findings in front of a move: whatever cannot be carried is named before anything changes.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use tokio_postgres::{GenericClient, IsolationLevel, Transaction};

use super::copy::{opening, owner};
use super::{Clusters, copy};
use crate::blueprint::{Blueprint, Chosen};
use crate::error::{Error, postgres_words};
use crate::name::SchemaName;
use crate::registry::{MOVES, State};
use crate::{Control, Settings};

/// What a move would do.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    /// The tenant's schema.
    pub schema: String,
    /// The cluster that it is on.
    pub from: String,
    /// The cluster that it would go to.
    pub to: String,
    /// The tenant's state.
    pub state: State,
    /// The version of its last migration.
    pub version: Option<i64>,
    /// The number of tables with rows of their own.
    pub tables: usize,
    /// The size of its tables and indexes on disk, in bytes.
    pub bytes: i64,
    /// The reasons why it cannot be moved.
    pub impediments: Vec<String>,
    /// What the administrator should know.
    pub warnings: Vec<String>,
}

impl Clusters {
    /// What a move of the tenant to cluster `to` would do. Nothing is changed.
    pub async fn plan(&self, schema: &SchemaName, to: &str) -> Result<Plan, Error> {
        let from = self.home_of(schema).await?;
        let (source, target) = (self.get(&from)?, self.get(to)?);
        if from == to {
            return Err(Error::Refused(format!("tenant schema \"{schema}\" is on cluster \"{to}\" already")));
        }
        for control in [source, target] {
            control.install_at_least(MOVES).await?;
        }
        let shown = source.tenant(schema).await?;
        let mut plan = Plan {
            schema: schema.to_string(),
            from,
            to: to.to_owned(),
            state: shown.tenant.state,
            version: shown.tenant.version,
            tables: 0,
            bytes: shown.bytes,
            impediments: Vec::new(),
            warnings: Vec::new(),
        };
        if !shown.tenant.registered {
            plan.impediments.push("it is not registered: register it with `pgstrata tenant adopt`".into());
        } else if !matches!(plan.state, State::Active | State::Suspended) {
            plan.impediments
                .push(format!("it is {}: only an active or a suspended tenant can be moved", plan.state));
        }
        plan.look(source, target, schema).await?;
        Ok(plan)
    }
}

impl Plan {
    /// The error if there is an impediment.
    pub(super) fn refuse(&self) -> Result<(), Error> {
        match self.impediments.is_empty() {
            true => Ok(()),
            false => Err(Error::Refused(format!(
                "tenant schema \"{}\" cannot be moved to cluster \"{}\": {}",
                self.schema,
                self.to,
                self.impediments.join("; ")
            ))),
        }
    }

    async fn look(&mut self, source: &Control, target: &Control, schema: &SchemaName) -> Result<(), Error> {
        let mut from = source.detached().await?;
        let to = target.detached().await?;
        self.tables = copy::Relations::read(&from, schema).await.map_err(reading())?.tables.len();
        let client: &mut tokio_postgres::Client = &mut from;
        let tx = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).start().await;
        let tx = tx.map_err(reading())?;
        let shared = &source.settings().shared;
        self.look_at_source(&tx, schema, shared).await?;
        self.compare_servers(&tx, &*to).await?;
        self.compare_needs(&tx, &*to, schema, target.settings()).await?;
        self.compare_shared(&tx, &*to, shared, &source.settings().source).await?;
        if target.is_provisioned(schema.as_str()).await? {
            self.impediments.push(format!("cluster \"{}\" has a schema of that name already", self.to));
        } else if self.impediments.is_empty() {
            self.rehearse(&tx, &to, schema, target.settings()).await?;
        }
        tx.rollback().await.map_err(reading())
    }

    async fn look_at_source(
        &mut self,
        tx: &Transaction<'_>,
        schema: &SchemaName,
        shared: &[String],
    ) -> Result<(), Error> {
        let name = schema.as_str();
        let rows = tx.query(include_str!("sql/plan.sql"), &[&name, &shared]).await.map_err(reading())?;
        self.impediments.extend(rows.iter().map(|row| row.get::<_, String>(0)));
        let outside =
            tx.query(include_str!("../registry/outsiders.sql"), &[&name]).await.map_err(reading())?;
        let outside =
            outside.iter().map(|row| format!("{} outside of the schema needs it", row.get::<_, &str>(0)));
        self.impediments.extend(outside);
        let columns = tx.query(include_str!("sql/large_objects.sql"), &[&name]).await.map_err(reading())?;
        for row in columns {
            let (sql, column): (String, String) = (row.get(0), row.get(1));
            if !row.get::<_, bool>(2) {
                self.warnings.push(format!(
                    "{column} may have numbers of large objects, which the control role cannot see"
                ));
                continue;
            }
            if tx.query_opt(&sql, &[]).await.map_err(reading())?.is_some() {
                self.impediments
                    .push(format!("{column} has numbers of large objects, which are not in the schema"));
            }
        }
        let published = "SELECT DISTINCT p.pubname::text FROM pg_publication p JOIN pg_publication_tables t USING (pubname)
                         WHERE t.schemaname = $1::text::name AND NOT p.puballtables";
        let published = tx.query(published, &[&name]).await.map_err(reading())?;
        let published =
            published.iter().map(|row| format!("publication {} is not carried", row.get::<_, &str>(0)));
        self.warnings.extend(published);
        Ok(())
    }

    async fn compare_servers(&mut self, tx: &Transaction<'_>, to: &impl GenericClient) -> Result<(), Error> {
        let sql =
            "SELECT pg_encoding_to_char(encoding)::text, current_setting('server_version_num')::int / 10000
                   FROM pg_database WHERE datname = current_database()";
        let here = tx.query_one(sql, &[]).await.map_err(reading())?;
        let there = to.query_one(sql, &[]).await.map_err(reading())?;
        let (encoding, other): (&str, &str) = (here.get(0), there.get(0));
        if encoding != other {
            self.impediments.push(format!("the source's encoding is {encoding}, and the target's {other}"));
        }
        let (version, other): (i32, i32) = (here.get(1), there.get(1));
        if version > other {
            self.warnings
                .push(format!("the source is PostgreSQL {version}, and the target PostgreSQL {other}"));
        }
        Ok(())
    }

    async fn compare_needs(
        &mut self,
        tx: &Transaction<'_>,
        to: &impl GenericClient,
        schema: &SchemaName,
        settings: &Settings,
    ) -> Result<(), Error> {
        let rows = tx.query(include_str!("sql/needs.sql"), &[&schema.as_str()]).await.map_err(reading())?;
        let there = "SELECT 'role' || ' ' || rolname FROM pg_roles UNION ALL SELECT 'extension' || ' ' || extname FROM pg_extension";
        let there = to.query(there, &[]).await.map_err(reading())?;
        let there: BTreeSet<String> = there.iter().map(|row| row.get(0)).collect();
        let own = settings.role(schema)?.map(|role| role.name.as_str().to_owned());
        for row in rows {
            let (kind, name): (&str, &str) = (row.get(0), row.get(1));
            if !there.contains(&format!("{kind} {name}")) && own.as_deref() != Some(name) {
                self.impediments.push(format!("cluster \"{}\" has no {kind} \"{name}\"", self.to));
            }
        }
        Ok(())
    }

    /// The tables that all tenants share. The source of tenants need not be the same everywhere.
    async fn compare_shared(
        &mut self,
        tx: &Transaction<'_>,
        to: &impl GenericClient,
        shared: &[String],
        template: &str,
    ) -> Result<(), Error> {
        let shared: Vec<&str> = shared.iter().map(String::as_str).filter(|name| *name != template).collect();
        let sql = include_str!("sql/shared.sql");
        let read = |rows: Vec<tokio_postgres::Row>| -> BTreeMap<String, String> {
            rows.iter().map(|row| (row.get(0), row.get(1))).collect()
        };
        let here = read(tx.query(sql, &[&shared]).await.map_err(reading())?);
        let there = read(to.query(sql, &[&shared]).await.map_err(reading())?);
        for (name, looks) in &here {
            match there.get(name) {
                None => self.impediments.push(format!("cluster \"{}\" has no shared table {name}", self.to)),
                Some(other) if other != looks => {
                    self.impediments
                        .push(format!("shared table {name} has other columns on cluster \"{}\"", self.to));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Creates the structure at the target, and takes it back.
    async fn rehearse(
        &mut self,
        tx: &Transaction<'_>,
        to: &tokio_postgres::Client,
        schema: &SchemaName,
        settings: &Settings,
    ) -> Result<(), Error> {
        let blueprint = match Blueprint::read(tx, schema.as_str(), Chosen::Structure).await {
            Ok(blueprint) => blueprint,
            Err(Error::Refused(why)) => {
                self.impediments.push(why);
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let sql = opening(schema, settings, &owner(tx, schema).await?, None)?;
        let sql = format!("{sql};\n{}", blueprint.sql(schema.as_str()));
        if let Err(error) = to.batch_execute(&sql).await {
            self.impediments.push(format!(
                "its structure cannot be created on cluster \"{}\": {}",
                self.to,
                postgres_words(&error)
            ));
        }
        to.batch_execute("ROLLBACK").await.map_err(reading())
    }
}

fn reading() -> impl FnOnce(tokio_postgres::Error) -> Error {
    Error::postgres("looking for whatever cannot be moved")
}
