//! The pending work, in one query.

use std::collections::BTreeSet;
use std::str::FromStr;

use tokio_postgres::types::Type;

use super::migration::{Invalid, Migrations};
use super::options::Options;
use super::report::Stage;
use crate::error::Error;
use crate::registry::State;
use crate::{Control, registry};

const SURVEY: &str = include_str!("survey.sql");

/// The result of the query.
#[derive(Debug, Default)]
pub(super) struct Survey {
    registry: Option<String>,
    pub known: u64,
    pub ahead: u64,
    schemas: Vec<Schema>,
    changed: Vec<Row>,
    late: Vec<Row>,
    missing: Vec<Row>,
}

/// A registered schema.
#[derive(Clone, Debug)]
pub(super) struct Schema {
    pub name: String,
    pub version: Option<i64>,
    pub state: State,
}

/// A schema with pending work.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub schema: String,
    pub version: Option<i64>,
    pub stage: Stage,
}

#[derive(Debug)]
struct Row {
    schema: String,
    version: i64,
    name: String,
}

impl Survey {
    /// Runs the query. A missing or old registry is created or upgraded first.
    pub async fn ask(control: &Control, migrations: &Migrations, options: &Options) -> Result<Self, Error> {
        match Self::ask_once(control, migrations, options).await {
            Ok(survey) if registry::is_current(survey.registry.as_deref()) => return Ok(survey),
            Ok(_) => {}
            Err(Error::Postgres { source, .. }) if registry::is_missing(&source) => {}
            Err(error) => return Err(error),
        }
        control.install().await?;
        Self::ask_once(control, migrations, options).await
    }

    async fn ask_once(control: &Control, migrations: &Migrations, options: &Options) -> Result<Self, Error> {
        let client = control.client().await?;
        let versions: Vec<i64> = migrations.iter().map(|migration| migration.version).collect();
        let sums: Vec<&[u8]> = migrations.iter().map(|migration| &migration.checksum[..]).collect();
        let named: Vec<&String> = options.canary.iter().chain(&options.only).collect();
        let rows = client
            .query_typed(
                SURVEY,
                &[
                    (&control.settings().source, Type::TEXT),
                    (&versions, Type::INT8_ARRAY),
                    (&sums, Type::BYTEA_ARRAY),
                    (&named, Type::TEXT_ARRAY),
                ],
            )
            .await
            .map_err(Error::postgres("asking the registry what there is to migrate"))?;
        let mut survey = Self::default();
        for row in rows {
            let kind: &str = row.get("kind");
            let version: Option<i64> = row.get("version");
            let schema: Option<String> = row.get("schema");
            let note: Option<String> = row.get("note");
            survey.take(kind, schema.unwrap_or_default(), version, note)?;
        }
        Ok(survey)
    }

    fn take(
        &mut self,
        kind: &str,
        name: String,
        version: Option<i64>,
        note: Option<String>,
    ) -> Result<(), Error> {
        let count = version.unwrap_or_default().unsigned_abs();
        let disagreement = |note: Option<String>| Row {
            schema: name.clone(),
            version: version.unwrap_or_default(),
            name: note.unwrap_or_default(),
        };
        match kind {
            "registry" => self.registry = note,
            "known" => self.known = count,
            "ahead" => self.ahead = count,
            "changed" => self.changed.push(disagreement(note)),
            "late" => self.late.push(disagreement(note)),
            "missing" => self.missing.push(disagreement(note)),
            _ => {
                let state = State::from_str(&note.unwrap_or_default())?;
                self.schemas.push(Schema { name, version, state });
            }
        }
        Ok(())
    }

    pub fn get(&self, name: &str) -> Option<&Schema> {
        self.schemas.iter().find(|schema| schema.name == name)
    }

    /// The versions whose files have changed.
    pub fn changed(&self) -> BTreeSet<i64> {
        self.changed.iter().map(|row| row.version).collect()
    }

    /// If the files and the ledger disagree, nothing runs.
    pub fn check(&self, migrations: &Migrations, options: &Options) -> Result<(), Invalid> {
        let name = |version| migrations.get(version).map_or_else(String::new, |file| file.name.to_string());
        if let Some(row) = self.late.first() {
            let newest = self.get(&row.schema).and_then(|source| source.version).unwrap_or_default();
            return Err(Invalid::OutOfOrder { file: name(row.version), applied: newest });
        }
        if let Some(row) = self.missing.first() {
            return Err(Invalid::Missing { file: row.name.clone(), schema: row.schema.clone() });
        }
        match self.changed.first() {
            Some(row) if !options.accept_changed => {
                Err(Invalid::Changed { file: name(row.version), schema: row.schema.clone() })
            }
            _ => Ok(()),
        }
    }

    /// The schemas of the run, in order. Their pending migrations are determined later.
    pub fn targets(
        &self,
        source: &str,
        newest: Option<i64>,
        options: &Options,
    ) -> Result<Vec<Target>, Error> {
        let lacks = |schema: &&Schema| schema.state == State::Migrating || schema.version < newest;
        let target = |stage| {
            move |schema: &Schema| Target { schema: schema.name.clone(), version: schema.version, stage }
        };
        for name in options.canary.iter().chain(&options.only) {
            self.check_tenant(name)?;
        }
        let is_named = |names: &[String], schema: &&Schema| names.contains(&schema.name);
        let mut targets: Vec<Target> =
            self.get(source).filter(lacks).map(target(Stage::Source)).into_iter().collect();
        for name in &options.canary {
            if !targets.iter().any(|target| target.schema == *name) {
                targets.extend(self.get(name).filter(lacks).map(target(Stage::Canary)));
            }
        }
        let mut others: Vec<Target> = self
            .schemas
            .iter()
            .filter(lacks)
            .filter(|schema| schema.name != source && !is_named(&options.canary, schema))
            .filter(|schema| options.only.is_empty() || is_named(&options.only, schema))
            .map(target(Stage::Tenant))
            .collect();
        others.sort_by(|a, b| a.schema.cmp(&b.schema));
        targets.append(&mut others);
        Ok(targets)
    }

    /// Refuses a name that is not a tenant which can be migrated.
    fn check_tenant(&self, name: &str) -> Result<(), Error> {
        let refuse = |why: String| Err(Error::Refused(format!("\"{name}\" cannot be migrated: {why}")));
        match self.get(name).map(|schema| schema.state) {
            None => refuse("the registry has no such tenant (`pgstrata tenant adopt` registers it)".into()),
            Some(State::Source) => refuse("it is the source, which is migrated first in any case".into()),
            Some(state @ (State::Provisioning | State::Dropping)) => refuse(format!("it is {state}")),
            Some(State::Active | State::Migrating | State::Suspended) => Ok(()),
        }
    }
}
