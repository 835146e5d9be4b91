//! Commands that create, change and drop tenants.

use std::io::{self, IsTerminal};

use pgstrata_control::provision::Synced;
use pgstrata_control::registry::State;

use super::output::{printable, table};
use super::{Context, Failure};
use crate::terminal;

#[derive(Debug, clap::Args)]
pub struct Create {
    /// The names of the new tenants.
    #[arg(required = true)]
    tenants: Vec<String>,
    /// The cluster for the new tenants: NAME of a [clusters.NAME]. Default: the registry's cluster.
    #[arg(long, value_name = "CLUSTER")]
    on: Option<String>,
}

impl Create {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        // An invalid name among several is reported in the result, and the others are created.
        if let [only] = self.tenants.as_slice() {
            context.schema(only)?;
        }
        let mut names = Vec::new();
        for tenant in &self.tenants {
            names.push(match context.schema(tenant) {
                Ok(schema) => schema.to_string(),
                Err(_) => tenant.clone(),
            });
        }
        let bar = context.output.progress(names.len(), "creating");
        let synced = match &self.on {
            Some(cluster) => context.create_on(cluster, &names, || bar.inc(1)).await,
            None => Ok(context.control.sync_tenant_schemas(&names, |_, _| bar.inc(1)).await?),
        };
        bar.finish_and_clear();
        let synced = synced?;
        context.output.print(&synced, |synced| human(context, synced))?;
        for remark in &synced.remarks {
            terminal::err(format_args!("pgstrata: warning: {}\n", printable(remark)));
        }
        match synced.failed.as_slice() {
            [] => Ok(()),
            [only] if names.len() == 1 => Err(Failure::failed(only.reason.clone())),
            _ => Err(Failure::found()),
        }
    }
}

fn human(context: &Context, synced: &Synced) -> String {
    let row = |schema: &str, what: &str| vec![context.tenant(schema), what.to_owned()];
    let created = synced.created.iter().map(|schema| row(schema, "created"));
    let skipped = synced.skipped.iter().map(|schema| row(schema, "already exists"));
    let failed =
        synced.failed.iter().map(|failed| row(&failed.schema, &format!("failed: {}", failed.reason)));
    let rows: Vec<_> = created.chain(skipped).chain(failed).collect();
    match synced.failed.len() == 1 && rows.len() == 1 {
        // The command's error says it.
        true => String::new(),
        false => table(&["tenant", "result"], rows),
    }
}

#[derive(Debug, clap::Args)]
pub struct Clone {
    /// The tenant to copy.
    from: String,
    /// The name of the new tenant.
    to: String,
}

impl Clone {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let (from, to) = (context.schema(&self.from)?, context.schema(&self.to)?);
        context.must_be_here(&from).await?;
        context.must_be_here(&to).await?;
        context.control.clone_schema(&from, &to).await?;
        done(context, &self.to, "cloned")
    }
}

#[derive(Debug, clap::Args)]
pub struct Rename {
    /// The tenant to rename.
    from: String,
    /// The new name.
    to: String,
}

impl Rename {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let (from, to) = (context.schema(&self.from)?, context.schema(&self.to)?);
        context.must_be_here(&from).await?;
        context.must_be_here(&to).await?;
        context.control.rename_schema(&from, &to).await?;
        done(context, &self.to, "renamed")
    }
}

#[derive(Debug, clap::Args)]
pub struct Suspend {
    /// The tenant.
    tenant: String,
}

impl Suspend {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let schema = context.schema(&self.tenant)?;
        let there = context.home_of(&schema).await?;
        let control = &there.as_ref().unwrap_or(context).control;
        control.set_state(&schema, State::Suspended, &[State::Active, State::Suspended]).await?;
        done(context, &self.tenant, "suspended")
    }
}

#[derive(Debug, clap::Args)]
pub struct Resume {
    /// The tenant.
    tenant: String,
}

impl Resume {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let schema = context.schema(&self.tenant)?;
        let there = context.home_of(&schema).await?;
        let control = &there.as_ref().unwrap_or(context).control;
        control.set_state(&schema, State::Active, &[State::Suspended, State::Active]).await?;
        done(context, &self.tenant, "active")
    }
}

#[derive(Debug, clap::Args)]
pub struct Drop {
    /// The tenant.
    tenant: String,
    /// Drops the tenant without asking for its name.
    #[arg(long)]
    yes: bool,
}

impl Drop {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let schema = context.schema(&self.tenant)?;
        let there = context.home_of(&schema).await?;
        let control = &there.as_ref().unwrap_or(context).control;
        // Without a schema there is no data to lose; the registry may still have a row of the tenant.
        if !self.yes && control.is_provisioned(schema.as_str()).await? {
            self.ask()?;
        }
        match &there {
            None => control.drop_schema(&schema).await?,
            Some(there) => context.drop_on(there, &schema).await?,
        }
        done(context, &self.tenant, "dropped")
    }

    /// Asks for the name twice, because a single answer may be typed without reading the question.
    fn ask(&self) -> Result<(), Failure> {
        if !io::stdin().is_terminal() {
            return Err(Failure::usage(format!(
                "standard input is not a terminal, so the name of tenant \"{}\" cannot be asked for: use --yes to drop it",
                printable(&self.tenant)
            )));
        }
        let name = printable(&self.tenant);
        terminal::err(format_args!(
            "Tenant \"{name}\" and all of its data will be dropped. This cannot be undone.\n"
        ));
        for prompt in ["Type the name of the tenant to drop it: ", "Type the name again: "] {
            terminal::err(format_args!("{prompt}"));
            let mut line = String::new();
            io::stdin().read_line(&mut line).map_err(|error| Failure::failed(error.to_string()))?;
            if line.trim_end_matches(['\r', '\n']) != self.tenant {
                return Err(Failure::failed(format!(
                    "the tenant to drop is \"{name}\", not that: nothing was dropped"
                )));
            }
        }
        Ok(())
    }
}

fn done(context: &Context, tenant: &str, what: &str) -> Result<(), Failure> {
    let value = serde_json::json!({ "tenant": tenant, "result": what });
    context.output.print(&value, |_| format!("{}: {what}", printable(tenant)))
}
