//! Commands that write a tenant to a file, and create a tenant from a file.

use std::path::PathBuf;

use pgstrata_control::archive::{self, Imported, Programs};

use super::output::printable;
use super::{Context, Failure};

#[derive(Debug, clap::Args)]
pub struct Export {
    /// The tenant.
    tenant: String,
    /// The file to write.
    #[arg(long)]
    file: PathBuf,
    /// The directory of pg_dump. Default: PATH is searched.
    #[arg(long, env = "PGSTRATA_PG_BIN")]
    pg_bin: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub struct Import {
    /// The name of the new tenant.
    tenant: String,
    /// The file to read.
    #[arg(long)]
    file: PathBuf,
    /// Restores no owners: the importing role owns all objects.
    #[arg(long)]
    no_owner: bool,
    /// Restores no privileges.
    #[arg(long)]
    no_privileges: bool,
    /// The version of the last migration that the tenant has. Default: the source's, if the tenant's structure
    /// equals the source's.
    #[arg(long)]
    at_version: Option<i64>,
    /// The directory of pg_restore. Default: PATH is searched.
    #[arg(long, env = "PGSTRATA_PG_BIN")]
    pg_bin: Option<PathBuf>,
}

fn programs(context: &Context, folder: Option<PathBuf>) -> Programs {
    Programs { folder, environment: context.libpq.clone() }
}

impl Export {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let schema = context.schema(&self.tenant)?;
        let there = context.home_of(&schema).await?;
        let at = there.as_ref().unwrap_or(context);
        at.control.export(&schema, &self.file, &programs(at, self.pg_bin)).await?;
        let value = serde_json::json!({ "tenant": self.tenant, "file": self.file });
        let (tenant, file) = (printable(&self.tenant), self.file.display());
        context.output.print(&value, |_| format!("{tenant}: written to {file}"))
    }
}

impl Import {
    pub async fn run(self, context: &Context) -> Result<(), Failure> {
        let schema = context.schema(&self.tenant)?;
        context.must_be_here(&schema).await?;
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
            "{tenant} differs from the source in {differences} objects: `pgstrata tenant diff` shows them. Its version \
             is unknown, so `pgstrata tenant migrate` will run all migrations in it. To set the version, import with \
             --at-version.\n"
        );
    }
    text
}
