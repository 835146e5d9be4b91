//! Commands that look at tenants and change nothing.

use pgstrata_control::registry::{State, Tenant};
use serde::Serialize;

use super::output::table;
use super::{Context, Failure};

#[derive(Debug, clap::Args)]
pub struct List {
    /// Those in this state only.
    #[arg(long)]
    state: Option<State>,
}

/// A tenant as it is listed.
#[derive(Serialize)]
struct Listed {
    tenant: String,
    #[serde(flatten)]
    entry: Tenant,
}

impl List {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let tenants = context.control.tenants().await?;
        let wanted = tenants.into_iter().filter(|entry| self.state.is_none_or(|state| entry.state == state));
        let all: Vec<Listed> =
            wanted.map(|entry| Listed { tenant: context.tenant(&entry.schema), entry }).collect();
        context.output.print(&all, |all| {
            let row = |listed: &Listed| {
                let Tenant { schema, state, version, registered, .. } = &listed.entry;
                let state = if *registered { state.to_string() } else { format!("{state} (not registered)") };
                vec![listed.tenant.clone(), schema.clone(), state, version_of(*version)]
            };
            table(&["tenant", "schema", "state", "version"], all.iter().map(row))
        })
    }
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
        let shown = context.control.tenant(&schema).await?;
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
            lines.map(|(name, value)| format!("{name:<12}{}\n", super::output::printable(&value))).concat()
        })
    }
}
