//! Commands that show tenants and change nothing.

use std::collections::{BTreeMap, BTreeSet};

use pgstrata_control::moves::{Clusters, Move, Recorded};
use pgstrata_control::registry::{State, Tenant};
use serde::Serialize;

use super::output::{printable, table};
use super::{Context, Failure};
use crate::terminal;

#[derive(Debug, clap::Args)]
pub struct List {
    /// Lists only tenants in this state.
    #[arg(long)]
    state: Option<State>,
}

/// A tenant as it is listed.
#[derive(Serialize)]
struct Listed {
    tenant: String,
    /// The cluster that its schema is on, where the database is on several.
    #[serde(skip_serializing_if = "Option::is_none")]
    cluster: Option<String>,
    /// Whether the placement leads clients to this schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    placed: Option<bool>,
    /// What a move of the tenant has to do with this schema.
    #[serde(skip_serializing_if = "Option::is_none")]
    moving: Option<String>,
    #[serde(flatten)]
    entry: Tenant,
}

impl List {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let Survey { mut all, lacks_some } = match context.on() {
            Some(on) if on.is_registry => on_clusters(context, &on.name).await?,
            _ => {
                let tenants = context.control.tenants().await?.into_iter();
                let one = |entry: Tenant| Listed {
                    tenant: context.tenant(&entry.schema),
                    cluster: None,
                    placed: None,
                    moving: None,
                    entry,
                };
                Survey { all: tenants.map(one).collect(), lacks_some: false }
            }
        };
        all.retain(|listed| self.state.is_none_or(|state| listed.entry.state == state));
        let has_clusters = context.on().is_some_and(|on| on.is_registry);
        context.output.print(&all, |all| {
            let row = |listed: &Listed| {
                let Tenant { schema, state, version, registered, .. } = &listed.entry;
                let remark = match (&listed.moving, registered, listed.placed) {
                    (Some(moving), ..) => format!(" ({moving})"),
                    (None, _, Some(false)) => " (not placed here)".to_owned(),
                    (None, false, _) => " (not registered)".to_owned(),
                    (None, true, _) => String::new(),
                };
                let mut row = vec![listed.tenant.clone()];
                row.extend(listed.cluster.clone());
                row.extend([schema.clone(), format!("{state}{remark}"), version_of(*version)]);
                row
            };
            let rows = all.iter().map(row);
            match has_clusters {
                true => table(&["tenant", "cluster", "schema", "state", "version"], rows),
                false => table(&["tenant", "schema", "state", "version"], rows),
            }
        })?;
        if lacks_some { Err(Failure::found()) } else { Ok(()) }
    }
}

/// What was found on the clusters of a database.
struct Survey {
    all: Vec<Listed>,
    /// Some clusters did not answer. What they said is on standard error.
    lacks_some: bool,
}

/// The tenants' schemas on all clusters of the database, whose `registry` says where each tenant lives. What is away,
/// and tenants that are placed where they have no schema, are said on standard error. The error: all of it is away.
async fn on_clusters(context: &Context, registry: &str) -> Result<Survey, Failure> {
    let mut lacking = Vec::new();
    // Not to be told where tenants are placed is no reason to leave out which there are.
    let placements = match context.control.placements().await {
        Ok(placements) => Some(placements),
        Err(error) => {
            lacking.push(format!("where tenants are placed is not known: {error}"));
            None
        }
    };
    let places = placements.iter().flatten().map(|place| (place.schema.as_str(), place.cluster.as_str()));
    let mut places: BTreeMap<&str, &str> = places.collect();
    let (mut all, mut found, mut answered) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    let clusters = context.clusters()?;
    // A registry of an earlier version knows of none.
    let moves = Clusters { registry: registry.to_owned(), all: clusters.clone() }.moves().await;
    let moves = moves.unwrap_or_default();
    for (cluster, control) in clusters {
        let tenants = match control.tenants().await {
            Ok(tenants) => tenants,
            Err(error) => {
                lacking.push(format!("the tenants on cluster \"{cluster}\" are not listed: {error}"));
                continue;
            }
        };
        for entry in tenants {
            let here = places.get(entry.schema.as_str()).map_or(registry, |place| place) == cluster;
            if here {
                found.insert(entry.schema.clone());
            }
            let (tenant, placed) = (context.tenant(&entry.schema), placements.is_some().then_some(here));
            let moving = moves.iter().find_map(|one| moving(one, &cluster, &entry.schema));
            all.push(Listed { tenant, cluster: Some(cluster.clone()), placed, moving, entry });
        }
        answered.insert(cluster);
    }
    if answered.is_empty() {
        return Err(Failure::failed(lacking.join("; ")));
    }
    places.retain(|schema, cluster| !found.contains(*schema) && is_known(context, &answered, cluster));
    let lost = places.iter().map(|(schema, cluster)| {
        format!(
            "tenant \"{}\" is placed on cluster \"{cluster}\", where it has no schema",
            context.tenant(schema)
        )
    });
    for warning in lacking.iter().cloned().chain(lost) {
        terminal::err(format_args!("pgstrata: warning: {}\n", printable(&warning)));
    }
    all.sort_by(|one, other| (&one.tenant, &one.cluster).cmp(&(&other.tenant, &other.cluster)));
    Ok(Survey { all, lacks_some: !lacking.is_empty() })
}

/// What a move has to do with a schema on a cluster: its tenant is on the way, or has left it behind.
fn moving(one: &Move, cluster: &str, schema: &str) -> Option<String> {
    let Move { source, target, step, .. } = one;
    if *step != Recorded::Kept && one.schema == schema && (source == cluster || target == cluster) {
        return Some(format!("the move from {source} to {target} is at step {}", step.as_str()));
    }
    if source != cluster || one.aside() != schema {
        return None;
    }
    let until = one.drop_after.as_ref().map(|until| format!(", kept until {until}")).unwrap_or_default();
    Some(format!("left behind by {}, now on {target}{until}", one.schema))
}

/// Whether it is known what schemas are on a cluster: it has answered, or is none of the database's.
fn is_known(context: &Context, answered: &BTreeSet<String>, cluster: &str) -> bool {
    let configured =
        context.on().is_some_and(|on| context.config.clusters_of(&on.database).contains_key(cluster));
    answered.contains(cluster) || !configured
}

fn version_of(version: Option<i64>) -> String {
    version.map_or_else(|| "-".into(), |version| version.to_string())
}

#[derive(Debug, clap::Args)]
pub struct Show {
    /// The tenant.
    tenant: String,
}

impl Show {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let schema = context.schema(&self.tenant)?;
        let there = context.home_of(&schema).await?;
        let at = there.as_ref().unwrap_or(context);
        let shown = at.control.tenant(&schema).await?;
        let cluster = at.on().map(|on| on.name.clone());
        context.output.print(&shown, |shown| {
            let lines = [
                ("tenant", self.tenant.clone()),
                ("schema", shown.tenant.schema.clone()),
                ("state", shown.tenant.state.to_string()),
                ("version", version_of(shown.tenant.version)),
                ("owner", shown.owner.clone()),
                ("tables", shown.tables.to_string()),
                ("size", shown.size.clone()),
                ("registered", if shown.tenant.registered { "yes" } else { "no" }.to_owned()),
                ("changed", shown.tenant.changed_at.clone().unwrap_or_else(|| "-".into())),
            ];
            let cluster = cluster.iter().map(|cluster| ("cluster", cluster.clone()));
            let lines = lines.into_iter().chain(cluster);
            let line = |(name, value): (&str, String)| format!("{name:<12}{}\n", printable(&value));
            lines.map(line).collect()
        })
    }
}
