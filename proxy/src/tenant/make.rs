//! Commands that make, change and drop tenants.

use std::io::{self, IsTerminal};

use pgstrata_control::provision::Synced;
use pgstrata_control::registry::State;

use super::output::{printable, table};
use super::{Context, Failure};
use crate::terminal;

#[derive(Debug, clap::Args)]
pub struct Create {
    /// The tenants.
    #[arg(required = true)]
    tenants: Vec<String>,
}

impl Create {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        // A name that can't be is no reason to leave the others, unless it is the only one.
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
        let synced = context.control.sync_tenant_schemas(&names, |_, _| bar.inc(1)).await;
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
    let skipped = synced.skipped.iter().map(|schema| row(schema, "was there already"));
    let failed =
        synced.failed.iter().map(|failed| row(&failed.schema, &format!("failed: {}", failed.reason)));
    let rows: Vec<_> = created.chain(skipped).chain(failed).collect();
    match synced.failed.len() == 1 && rows.len() == 1 {
        // It is said as the command's error.
        true => String::new(),
        false => table(&["tenant", "result"], rows),
    }
}

#[derive(Debug, clap::Args)]
pub struct Clone {
    /// The tenant that there is.
    from: String,
    /// The one that is to be.
    to: String,
}

impl Clone {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let (from, to) = (context.schema(&self.from)?, context.schema(&self.to)?);
        context.control.clone_schema(&from, &to).await?;
        done(context, &self.to, "cloned")
    }
}

#[derive(Debug, clap::Args)]
pub struct Rename {
    /// The tenant that there is.
    from: String,
    /// Its name from now on.
    to: String,
}

impl Rename {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let (from, to) = (context.schema(&self.from)?, context.schema(&self.to)?);
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
        context.control.set_state(&schema, State::Suspended, &[State::Active, State::Suspended]).await?;
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
        context.control.set_state(&schema, State::Active, &[State::Suspended, State::Active]).await?;
        done(context, &self.tenant, "active")
    }
}

#[derive(Debug, clap::Args)]
pub struct Drop {
    /// The tenant.
    tenant: String,
    /// Asks nobody.
    #[arg(long)]
    yes: bool,
}

impl Drop {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let schema = context.schema(&self.tenant)?;
        // There is nothing to lose of one that is not there; it may be registered still.
        if !self.yes && context.control.is_provisioned(schema.as_str()).await? {
            self.ask()?;
        }
        context.control.drop_schema(&schema).await?;
        done(context, &self.tenant, "dropped")
    }

    /// The name, twice: what is typed without looking is typed once.
    fn ask(&self) -> Result<(), Failure> {
        if !io::stdin().is_terminal() {
            return Err(Failure::usage("there is no terminal to ask on: say --yes to drop it"));
        }
        let name = printable(&self.tenant);
        terminal::err(format_args!("Tenant \"{name}\" and all of its data will be gone for good.\n"));
        for prompt in ["Type its name to drop it: ", "Once more: "] {
            terminal::err(format_args!("{prompt}"));
            let mut line = String::new();
            io::stdin().read_line(&mut line).map_err(|error| Failure::failed(error.to_string()))?;
            if line.trim_end_matches(['\r', '\n']) != self.tenant {
                return Err(Failure::failed("that is not its name: nothing was dropped"));
            }
        }
        Ok(())
    }
}

fn done(context: &Context, tenant: &str, what: &str) -> Result<(), Failure> {
    let value = serde_json::json!({ "tenant": tenant, "result": what });
    context.output.print(&value, |_| format!("{}: {what}", printable(tenant)))
}
