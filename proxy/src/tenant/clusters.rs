//! Commands on a database with several clusters: the cluster that each command works on.

use std::collections::{BTreeMap, BTreeSet};

use pgstrata_control::provision::{Failed, Synced};
use pgstrata_control::registry::placements::{Placement, Placing};
use pgstrata_control::{Control, Error, SchemaName};

use super::{Command, Context, Failure, connect};
use crate::config::OnCluster;
use crate::terminal;

/// Tenants that are placed and made at a time: each has a lock, for which PostgreSQL keeps room of a fixed size.
const LOCKED: usize = 500;

/// What a command does on a database that is on several clusters.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// It finds the clusters by itself.
    All,
    /// It works on the registry's cluster, or on the one that is named with `--database DATABASE@CLUSTER`.
    One,
    /// It works on the registry's cluster: it would have to change placements.
    Registry,
}

impl Command {
    fn reach(&self) -> Reach {
        match self {
            Self::Create(_) | Self::Drop(_) | Self::List(_) | Self::Move(_) => Reach::All,
            Self::Show(_) | Self::Suspend(_) | Self::Resume(_) | Self::Export(_) => Reach::All,
            Self::Clone(_) | Self::Rename(_) | Self::Import(_) => Reach::Registry,
            Self::Diff(_) | Self::Sync(_) | Self::Migrate(_) | Self::Adopt(_) | Self::Audit(_) => Reach::One,
        }
    }
}

impl Context {
    /// The part of a database that the command was given, where that is on several clusters.
    pub(super) fn on(&self) -> Option<&OnCluster> {
        self.config.databases.get(&self.entry)?.cluster.as_ref()
    }

    /// Refuses a command that can't be meant for the part of the database that it was given, and says where it works
    /// that works on one cluster alone.
    pub(super) fn check_reach(&self, command: &Command, has_url: bool) -> Result<(), Failure> {
        let Some(on) = self.on() else { return Ok(()) };
        if has_url {
            return Err(Failure::usage(
                "--admin-url names one PostgreSQL, and the database is on several clusters: \
                 put the logins into [clusters.NAME.control]",
            ));
        }
        match command.reach() {
            Reach::All | Reach::Registry if !on.is_registry => Err(Failure::usage(format!(
                "the command is for the whole database \"{}\", not for \"{}\": use --database {0}",
                on.database, self.entry
            ))),
            Reach::One if on.is_registry && self.config.clusters_of(&on.database).len() > 1 => {
                terminal::err(format_args!(
                    "pgstrata: works on cluster \"{}\" only; for another cluster: --database {}@CLUSTER\n",
                    on.name, on.database
                ));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// All clusters of the database by their names, and what leads there.
    pub(super) fn clusters(&self) -> Result<BTreeMap<String, Control>, Failure> {
        let Some(on) = self.on() else { return Ok(BTreeMap::new()) };
        let clusters = self.config.clusters_of(&on.database);
        clusters.into_iter().map(|(name, entry)| Ok((name.to_owned(), self.control_of(entry)?))).collect()
    }

    fn control_of(&self, entry: &str) -> Result<Control, Failure> {
        let (name, database) = connect::database(&self.config, Some(entry))?;
        connect::control(&self.config, name, database, None)
    }

    /// The same for the cluster of that name.
    fn at(&self, cluster: &str) -> Result<Context, Failure> {
        let clusters = self.on().map(|on| self.config.clusters_of(&on.database)).unwrap_or_default();
        let Some(entry) = clusters.get(cluster) else {
            let known: Vec<_> = clusters.keys().copied().collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(Failure::usage(format!(
                "the database is not on cluster \"{cluster}\"; its clusters: {known}"
            )));
        };
        let (name, database) = connect::database(&self.config, Some(entry))?;
        Ok(Context {
            control: connect::control(&self.config, name, database, None)?,
            entry: name.to_owned(),
            libpq: connect::libpq(database),
            config: self.config.clone(),
            output: self.output,
        })
    }

    /// The same for the cluster that a tenant lives on, if that is another.
    pub(super) async fn home_of(&self, schema: &SchemaName) -> Result<Option<Context>, Failure> {
        let Some(on) = self.on() else { return Ok(None) };
        match self.control.placement(schema).await? {
            Some(Placement { cluster, .. }) if cluster != on.name => self.at(&cluster).map(Some),
            _ => Ok(None),
        }
    }

    /// Refuses what is there for the registry's cluster alone, for a tenant that lives elsewhere.
    pub(super) async fn must_be_here(&self, schema: &SchemaName) -> Result<(), Failure> {
        match self.home_of(schema).await? {
            None => Ok(()),
            Some(_) => Err(Failure::failed(format!(
                "schema \"{schema}\" is placed on another cluster than the registry's, where clone, rename and import \
                 are not supported: `pgstrata tenant list` shows its cluster"
            ))),
        }
    }

    /// Makes tenants on that cluster. Each is placed there first, so that no proxy makes it elsewhere meanwhile; done
    /// again, it goes on where it was cut off.
    pub(super) async fn create_on(
        &self,
        cluster: &str,
        names: &[String],
        mut done: impl FnMut(),
    ) -> Result<Synced, Failure> {
        let there = self.at(cluster)?;
        if there.entry == self.entry {
            return Ok(self.control.sync_tenant_schemas(names, |_, _| done()).await?);
        }
        let names: BTreeSet<&String> = names.iter().collect();
        let names: Vec<&String> = names.into_iter().collect();
        let mut synced = Synced::default();
        for names in names.chunks(LOCKED) {
            let placing = self.control.placing().await?;
            let some = self.create_some(&placing, (cluster, &there), names, &mut done).await;
            placing.done().await?;
            let some = some?;
            synced.created.extend(some.created);
            synced.skipped.extend(some.skipped);
            synced.failed.extend(some.failed);
            synced.remarks = if some.remarks.is_empty() { synced.remarks } else { some.remarks };
        }
        Ok(synced)
    }

    /// The same for a few of them, which no other command is at work on meanwhile.
    async fn create_some(
        &self,
        placing: &Placing,
        (cluster, there): (&str, &Context),
        names: &[&String],
        mut done: impl FnMut(),
    ) -> Result<Synced, Failure> {
        let database = there.control.database_name().await?;
        let (mut placed, mut failed) = (Vec::new(), Vec::new());
        for name in names {
            let place = async {
                let schema = SchemaName::new(name, there.control.settings())?;
                placing.lock(&schema).await?;
                placing.place(&schema, cluster, &database).await
            };
            match place.await {
                Ok(()) => placed.push((*name).clone()),
                Err(error) => {
                    done();
                    failed.push(Failed::new(name, &error));
                }
            }
        }
        let synced = there.control.sync_tenant_schemas(&placed, |_, _| done()).await;
        let unmade: Vec<&String> = match &synced {
            Ok(synced) => synced.failed.iter().map(|failed| &failed.schema).collect(),
            Err(_) => placed.iter().collect(),
        };
        for schema in unmade {
            // What was not made is placed nowhere.
            if let Ok(schema) = SchemaName::new(schema, there.control.settings())
                && !there.control.is_provisioned(schema.as_str()).await?
            {
                placing.unplace(&schema, cluster).await?;
            }
        }
        let mut synced = synced?;
        synced.failed.append(&mut failed);
        Ok(synced)
    }

    /// Drops a tenant that lives on another cluster, on which `there` works. Its placement goes last, so that nobody
    /// makes it anew meanwhile: it may be all that was left of it.
    pub(super) async fn drop_on(&self, there: &Context, schema: &SchemaName) -> Result<(), Failure> {
        let placing = self.control.placing().await?;
        let dropped = Self::drop_placed(&placing, there, schema).await;
        placing.done().await?;
        dropped
    }

    async fn drop_placed(placing: &Placing, there: &Context, schema: &SchemaName) -> Result<(), Failure> {
        let cluster = there.on().map_or("", |on| &on.name);
        placing.lock(schema).await?;
        if placing.placement(schema).await?.is_none_or(|placed| placed.cluster != cluster) {
            let message =
                format!("tenant schema \"{schema}\" was placed elsewhere meanwhile: nothing was dropped");
            return Err(Failure::failed(message));
        }
        match there.control.drop_schema(schema).await {
            Ok(()) | Err(Error::Missing(_)) => {}
            Err(error) => return Err(error.into()),
        }
        placing.unplace(schema, cluster).await?;
        Ok(())
    }
}
