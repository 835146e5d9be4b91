//! `pgstrata tenant`: the commands for tenants.
//!
//! # Layout
//! - [`connect`]: from the configuration to connections.
//! - [`output`]: tables, JSON, progress.
//! - `clusters`: the cluster that a command works on.
//! - `make`: create, clone, rename, drop, suspend, resume.
//! - `look`: list, show.
//! - `drift`: diff, sync.
//! - `migrate`: migrate, adopt.
//! - `audit`: audit.
//! - `archive`: export, import.
//! - `relocate`: move.

mod archive;
mod audit;
mod clusters;
pub mod connect;
mod drift;
mod look;
mod make;
mod migrate;
pub mod output;
mod relocate;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use pgstrata_control::{Control, SchemaName};

use tokio::task::JoinSet;

use crate::config::Config;
use crate::terminal;
use output::Output;

/// Partial failure, or findings: the parts that succeeded remain.
const FOUND: u8 = 3;

/// The options that all commands share.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 success; 1 failure; 2 usage error; 3 partial failure, or differences or findings."
)]
pub struct Args {
    /// The configuration file.
    #[arg(long, default_value = "pgstrata.toml", global = true)]
    config: PathBuf,
    /// The database: NAME of a [databases.NAME]. Required if the file has several.
    #[arg(long, global = true)]
    database: Option<String>,
    /// The connection to PostgreSQL, in place of that of the file: postgresql://USER@HOST/DATABASE.
    #[arg(long, global = true, env = "PGSTRATA_ADMIN_URL", hide_env_values = true)]
    admin_url: Option<String>,
    /// Prints JSON.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Creates schemas for new tenants, each a copy of the source's structure.
    #[command(
        after_help = "Examples:\n  pgstrata tenant create acme_corp\n  pgstrata tenant create globex initech --json\n  \
                            xargs pgstrata tenant create < names.txt\n  pgstrata tenant create hooli --on b"
    )]
    Create(make::Create),
    /// Lists the tenants: their states and the versions of their schemas.
    #[command(
        after_help = "Examples:\n  pgstrata tenant list\n  pgstrata tenant list --state suspended --json"
    )]
    List(look::List),
    /// Shows one tenant.
    Show(look::Show),
    /// Shows how tenants differ from the source, as SQL that removes the differences.
    #[command(
        after_help = "Examples:\n  pgstrata tenant diff acme_corp\n  pgstrata tenant diff          # all tenants\n\n\
                            Exit code 3: a tenant differs from the source."
    )]
    Diff(drift::Diff),
    /// Makes tenants equal to the source again: runs what `diff` shows.
    #[command(
        after_help = "Examples:\n  pgstrata tenant sync acme_corp\n  pgstrata tenant sync --drop-data\n\n\
                            Exit code 3: differences remain."
    )]
    Sync(drift::Sync),
    /// Brings the source and all tenants to the newest migration.
    #[command(
        after_help = "Examples:\n  pgstrata tenant migrate --plan\n  pgstrata tenant migrate --fence\n  \
                            pgstrata tenant migrate --canary acme_corp --max-failures 5\n  \
                            pgstrata tenant migrate --status\n\nIf the command is run again, it continues where it stopped."
    )]
    Migrate(Box<migrate::Migrate>),
    /// Registers tenants that existed before pgstrata.
    #[command(
        after_help = "Examples:\n  pgstrata tenant adopt --all --at-version 12\n  pgstrata tenant adopt acme_corp"
    )]
    Adopt(migrate::Adopt),
    /// Shows the objects that tenants' roles can reach, and unneeded privileges of the servers' role.
    #[command(
        after_help = "Exit code 3: there are findings. `pgstrata tenant sync` grants missing privileges to tenants' roles."
    )]
    Audit(audit::Audit),
    /// Creates a tenant as a copy of another, with its data.
    Clone(make::Clone),
    /// Renames a tenant.
    Rename(make::Rename),
    /// Refuses a tenant's clients until the tenant is resumed.
    Suspend(make::Suspend),
    /// Serves a suspended tenant's clients again.
    Resume(make::Resume),
    /// Moves a tenant to another cluster, while its clients wait.
    #[command(
        after_help = "Examples:\n  pgstrata tenant move acme_corp --to b --dry-run\n  pgstrata tenant move acme_corp --to b\n  \
                            pgstrata tenant move --status\n  pgstrata tenant move --abort acme_corp\n  \
                            pgstrata tenant move --sweep\n\nIf it was interrupted, run it again: it finishes the move, or \
                            takes it back and begins anew."
    )]
    Move(Box<relocate::Move>),
    /// Writes a tenant with its data to a file, in pg_dump's custom format.
    #[command(after_help = "Example:\n  pgstrata tenant export acme_corp --file acme_corp.dump")]
    Export(archive::Export),
    /// Creates a tenant from a file of `export`, in the same or another database.
    #[command(after_help = "Example:\n  pgstrata tenant import acme_corp --file acme_corp.dump")]
    Import(archive::Import),
    /// Drops a tenant with all of its data.
    #[command(
        after_help = "Examples:\n  pgstrata tenant drop acme_corp         # asks twice for the name\n  \
                            pgstrata tenant drop acme_corp --yes"
    )]
    Drop(make::Drop),
}

/// The failure of a command: its exit code and message.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// The command failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self { code: 1, message: message.into() }
    }

    /// The arguments or the configuration are invalid.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: 2, message: message.into() }
    }

    /// The command has printed its findings, and has nothing to add.
    pub fn found() -> Self {
        Self { code: FOUND, message: String::new() }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl From<pgstrata_control::Error> for Failure {
    fn from(error: pgstrata_control::Error) -> Self {
        Self::failed(error.to_string())
    }
}

/// The configuration and the connections of a command.
struct Context {
    config: Config,
    control: Control,
    /// The name of the database's entry in the configuration.
    entry: String,
    output: Output,
    /// Environment variables for programs that use libpq.
    libpq: Vec<(&'static str, OsString)>,
}

impl Context {
    fn schema(&self, tenant: &str) -> Result<SchemaName, Failure> {
        connect::schema(&self.config, self.control.settings(), tenant)
    }

    /// The schemas of these tenants; if none is named, of all tenants.
    async fn schemas(&self, tenants: &[String]) -> Result<Vec<SchemaName>, Failure> {
        if !tenants.is_empty() {
            return tenants.iter().map(|tenant| self.schema(tenant)).collect();
        }
        let all = self.control.get_provisioned_schemas().await?;
        all.iter().map(|schema| Ok(SchemaName::new(schema, self.control.settings())?)).collect()
    }

    /// Does `work` for each of the schemas, as many at once as there are workers; answers come in their order.
    async fn each<T, W, F>(
        &self,
        schemas: Vec<SchemaName>,
        what: &'static str,
        work: W,
    ) -> Result<Vec<T>, Failure>
    where
        T: Send + 'static,
        W: Fn(Control, SchemaName) -> F,
        F: Future<Output = Result<T, pgstrata_control::Error>> + Send + 'static,
    {
        let bar = self.output.progress(schemas.len(), what);
        let mut waiting = schemas.into_iter().enumerate();
        let mut running = JoinSet::new();
        let mut done: Vec<(usize, T)> = Vec::new();
        loop {
            while running.len() < self.config.provision.workers
                && let Some((at, schema)) = waiting.next()
            {
                let work = work(self.control.clone(), schema);
                running.spawn(async move { work.await.map(|answer| (at, answer)) });
            }
            let Some(joined) = running.join_next().await else { break };
            done.push(joined.map_err(|error| Failure::failed(error.to_string()))??);
            bar.inc(1);
        }
        bar.finish_and_clear();
        done.sort_by_key(|(at, _)| *at);
        Ok(done.into_iter().map(|(_, answer)| answer).collect())
    }

    /// The tenant that has this schema.
    fn tenant(&self, schema: &str) -> String {
        connect::tenant_of(&self.config, schema).to_owned()
    }
}

/// Runs a command. Errors are printed to standard error.
pub fn run(args: Args) -> ExitCode {
    match try_run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.message.is_empty() {
                terminal::err(format_args!("pgstrata: {}\n", failure.message));
            }
            ExitCode::from(failure.code)
        }
    }
}

fn try_run(args: Args) -> Result<(), Failure> {
    let config = Config::load(&args.config).map_err(|error| Failure::usage(error.to_string()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Failure::failed(error.to_string()))?;
    runtime.block_on(async {
        let (name, database) = connect::database(&config, args.database.as_deref())?;
        let control = connect::control(&config, name, database, args.admin_url.as_deref())?;
        let libpq = connect::libpq(database);
        let (entry, output) = (name.to_owned(), Output { json: args.json });
        let context = Context { control, entry, output, libpq, config: config.clone() };
        context.check_reach(&args.command, args.admin_url.is_some())?;
        match args.command {
            Command::Create(create) => create.run(&context).await,
            Command::List(list) => list.run(&context).await,
            Command::Show(show) => show.run(&context).await,
            Command::Diff(diff) => diff.run(&context).await,
            Command::Sync(sync) => sync.run(&context).await,
            Command::Migrate(migrate) => migrate.run(&context).await,
            Command::Adopt(adopt) => adopt.run(&context).await,
            Command::Audit(audit) => audit.run(&context).await,
            Command::Clone(clone) => clone.run(&context).await,
            Command::Rename(rename) => rename.run(&context).await,
            Command::Suspend(suspend) => suspend.run(&context).await,
            Command::Resume(resume) => resume.run(&context).await,
            Command::Move(relocate) => relocate.run(&context).await,
            Command::Export(export) => export.run(&context).await,
            Command::Import(import) => import.run(&context).await,
            Command::Drop(drop) => drop.run(&context).await,
        }
    })
}
