//! The command that shows what tenants' roles can reach.

use pgstrata_control::audit;

use super::output::printable;
use super::{Context, Failure};

#[derive(Debug, clap::Args)]
pub struct Audit {
    /// The tenants. Default: all.
    tenants: Vec<String>,
}

impl Audit {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let schemas = context.schemas(&self.tenants).await?;
        let audit = context.control.audit(&schemas).await?;
        context.output.print(&audit, |audit| human(context, audit))?;
        match audit.is_clean() {
            true => Ok(()),
            false => Err(Failure::found()),
        }
    }
}

fn human(context: &Context, audit: &audit::Audit) -> String {
    let login = printable(audit.login.as_deref().unwrap_or_default());
    let mut text = String::new();
    for finding in &audit.login_findings {
        text += &format!("the servers' role \"{login}\" {}\n", printable(finding));
    }
    for weakness in &audit.weaknesses {
        text += &format!("the servers' role \"{login}\" {}\n", printable(&weakness.what));
        text.extend(weakness.sql.iter().map(|sql| format!("    {}\n", printable(sql))));
    }
    if !audit.weaknesses.is_empty() {
        text += "`pgstrata sql harden` prints all of this SQL; `pgstrata sql harden --undo` prints SQL that reverts it\n";
    }
    let mut clean = 0;
    for tenant in &audit.tenants {
        let name = printable(&context.tenant(&tenant.schema));
        clean += usize::from(tenant.findings.is_empty());
        for finding in &tenant.findings {
            text += &format!("tenant \"{name}\": {}\n", printable(finding));
        }
    }
    if !audit.tenants.is_empty() {
        text += &format!(
            "{clean} of {} tenants' roles reach only their own schema and shared objects\n",
            audit.tenants.len()
        );
    }
    if audit.without_role > 0 {
        text += &format!(
            "{} tenants have no role (tier \"names\"): only the proxy separates them\n",
            audit.without_role
        );
    }
    text
}
