//! `pgstrata check`: reports the errors of a configuration file, and optionally whether its databases can be reached.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::timeout;

use crate::config::{Config, Database};
use crate::error_text::with_sources;
use crate::pool::connect::connect;
use crate::pool::target::Target;
use crate::terminal;

/// The arguments of `pgstrata check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The configuration file.
    #[arg(long, default_value = "pgstrata.toml")]
    config: PathBuf,
    /// Also logs in to each database.
    #[arg(long)]
    connect: bool,
}

/// Checks the file. The error has one line for each fault.
pub fn run(args: &Args) -> Result<(), String> {
    let config = Config::load(&args.config).map_err(|error| error.to_string())?;
    for warning in &config.warnings {
        terminal::err(format_args!("{warning}\n"));
    }
    let mut wrong = config.expired.clone();
    if args.connect {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        for (name, database) in &config.databases {
            let reached = runtime.block_on(reach(name, database, config.pool.connect_timeout));
            wrong.extend(reached.err().map(|error| {
                format!("{}: [databases.{name}] can not be reached: {error}", args.config.display())
            }));
        }
    }
    match wrong.is_empty() {
        true => terminal::out(format_args!("{}: ok\n", args.config.display())).map_err(|e| e.to_string()),
        false => Err(wrong.join("\n")),
    }
}

/// Logs in as a server does. The error names the cause.
async fn reach(name: &str, database: &Database, limit: Duration) -> Result<(), String> {
    let target = Target::new(name, database).map_err(|error| error.to_string())?;
    match timeout(limit, connect(&target, &[])).await {
        Ok(connected) => connected.map(drop).map_err(|error| with_sources(&error)),
        Err(_) => Err(format!("no answer within {limit:?} (pool.connect_timeout)")),
    }
}
