//! The `pgstrata` binary.

// These macros panic if the reader of the output has closed it.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use pgstrata::config::Config;
use pgstrata::handover::inherited::Inherited;
use pgstrata::signals::Signals;
use pgstrata::{ServeError, descriptors, terminal};

#[derive(Parser)]
#[command(name = "pgstrata", version, about = "A tenant-routing PostgreSQL proxy")]
enum Command {
    /// Serves clients.
    Serve {
        /// The configuration file.
        #[arg(long, default_value = "pgstrata.toml")]
        config: PathBuf,
    },
    /// Checks the configuration file, and reports each error with its line.
    Check(pgstrata::check::Args),
    /// Makes the running proxy reload its configuration.
    Reload(pgstrata::reload::Args),
    /// Shows the route of an SQL text for a tenant, and the text that PostgreSQL would get.
    Explain(pgstrata::explain::Args),
    /// Prints SQL for an administrator to run.
    #[command(subcommand)]
    Sql(pgstrata::install::Sql),
    /// Creates, shows, changes and drops tenants.
    Tenant(pgstrata::tenant::Args),
    /// Attacks a deployment with two temporary tenants, and reports the attacks that succeeded.
    Selftest(pgstrata::selftest::Args),
    /// Inspects a PostgreSQL database, and writes a configuration and the SQL for its roles.
    Init(pgstrata::init::Args),
    /// Shows the activity of tenants in a terminal.
    Top(pgstrata::top::Args),
    /// Requests the health check of a running proxy.
    Health(pgstrata::health::Args),
    /// Writes manual pages or completions.
    #[command(subcommand, hide = true)]
    Generate(pgstrata::generate::Generate),
    /// Runs the proxy with a temporary PostgreSQL, to try it out.
    Demo(pgstrata::demo::Args),
}

fn main() -> ExitCode {
    let result = match Command::parse() {
        Command::Serve { config } => serve(&config),
        Command::Check(args) => pgstrata::check::run(&args),
        Command::Reload(args) => pgstrata::reload::run(&args).map_err(|error| format!("pgstrata: {error}")),
        Command::Explain(args) => pgstrata::explain::run(&args),
        Command::Sql(sql) => sql.print(),
        Command::Tenant(args) => return pgstrata::tenant::run(args),
        Command::Selftest(args) => {
            pgstrata::selftest::run(&args).map_err(|error| format!("pgstrata: {error}"))
        }
        Command::Init(args) => pgstrata::init::run(&args).map_err(|error| format!("pgstrata: {error}")),
        Command::Top(args) => pgstrata::top::run(&args).map_err(|error| format!("pgstrata: {error}")),
        Command::Health(args) => pgstrata::health::run(&args),
        Command::Generate(what) => pgstrata::generate::run(&what, Command::command()),
        Command::Demo(args) => pgstrata::demo::run(&args).map_err(|error| format!("pgstrata: {error}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal::err(format_args!("{error}\n"));
            ExitCode::FAILURE
        }
    }
}

fn serve(path: &std::path::Path) -> Result<(), String> {
    // Before any other thread starts.
    let inherited = Inherited::take().map_err(|error| format!("pgstrata: listening sockets: {error}"))?;
    let config = Config::load(path).map_err(|error| error.to_string())?;
    let log = pgstrata::logging::init(&config.log).map_err(|error| format!("pgstrata: {error}"))?;
    for warning in config.warnings.iter().chain(&config.expired) {
        tracing::warn!("{warning}");
    }
    descriptors::raise();
    let served = serve_until_told(config, inherited);
    log.flush();
    served.map_err(|error| format!("pgstrata: {error}"))
}

fn serve_until_told(config: Config, inherited: Inherited) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(ServeError::Thread)?.block_on(async {
        let signals = Signals::install().map_err(ServeError::Thread)?;
        pgstrata::serve_inheriting(config, inherited, async |shared| signals.stop(shared).await).await
    })
}
