//! Commands that bring a tenant to a file and back.

use std::path::PathBuf;

use pgstrata_control::archive::{self, Imported, Programs};

use super::output::printable;
use super::{Context, Failure};

#[derive(Debug, clap::Args)]
pub struct Export {
    /// The tenant.
    tenant: String,
    /// Where it is written to.
    #[arg(long)]
    file: PathBuf,
    /// The folder of pg_dump; the one on the PATH if left out.
    #[arg(long, env = "PGSTRATA_PG_BIN")]
    pg_bin: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct Import {
    /// The tenant that it becomes.
    tenant: String,
    /// Where it is read from.
    #[arg(long)]
    file: PathBuf,
    /// All belongs to the role that imports it.
    #[arg(long)]
    no_owner: bool,
    /// Nothing is granted to anybody.
    #[arg(long)]
    no_privileges: bool,
    /// The last migration that is in it; left out, the source's if it is built as the source is.
    #[arg(long)]
    at_version: Option<i64>,
    /// The folder of pg_restore; the one on the PATH if left out.
    #[arg(long, env = "PGSTRATA_PG_BIN")]
    pg_bin: Option<PathBuf>,
}

fn programs(context: &Context, folder: Option<PathBuf>) -> Programs {
    Programs { folder, environment: context.libpq.clone() }
}

impl Export {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let schema = context.schema(&self.tenant)?;
        context.control.export(&schema, &self.file, &programs(context, self.pg_bin)).await?;
        let value = serde_json::json!({ "tenant": self.tenant, "file": self.file });
        let (tenant, file) = (printable(&self.tenant), self.file.display());
        context.output.print(&value, |_| format!("{tenant}: written to {file}"))
    }
}

impl Import {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let schema = context.schema(&self.tenant)?;
        let what = archive::Import {
            no_owner: self.no_owner,
            no_privileges: self.no_privileges,
            version: self.at_version,
        };
        let programs = programs(context, self.pg_bin);
        let imported = context.control.import(&schema, &self.file, what, &programs).await?;
        let tenant = printable(&self.tenant);
        context.output.print(&imported, |imported| human(&tenant, imported))?;
        match imported.differences {
            None | Some(0) => Ok(()),
            Some(_) => Err(Failure::found()),
        }
    }
}

fn human(tenant: &str, imported: &Imported) -> String {
    let version = imported.version.map_or_else(|| "none".into(), |version| version.to_string());
    let mut text = format!("{tenant}: imported, version {version}\n");
    if let Some(differences @ 1..) = imported.differences {
        text += &format!(
            "It differs from the source in {differences} things: see `pgstrata tenant diff`. Until it is told which \
             migrations it has (--at-version), all of them are run for it.\n"
        );
    }
    text
}
