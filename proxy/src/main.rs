//! The `pgstrata` binary.

// Those macros panic where nobody reads.
#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use pgstrata::config::Config;
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
    /// Reads the configuration, says what is wrong with it, and does nothing else.
    Check(pgstrata::check::Args),
    /// Has the proxy that serves the file read it again.
    Reload(pgstrata::reload::Args),
    /// Says which way a text would go for a tenant, and what PostgreSQL would get.
    Explain(pgstrata::explain::Args),
    /// Prints SQL for an administrator to run.
    #[command(subcommand)]
    Sql(pgstrata::catalog::install::Sql),
    /// Makes, shows, changes and drops tenants.
    Tenant(pgstrata::tenant::Args),
    /// Attacks a deployment with two throw-away tenants, and says what held.
    Selftest(pgstrata::selftest::Args),
    /// Looks at a PostgreSQL, and writes a configuration for it and the SQL for its roles.
    Init(pgstrata::init::Args),
    /// Asks a running proxy how it is.
    Health(pgstrata::health::Args),
    /// Writes manual pages or completions.
    #[command(subcommand, hide = true)]
    Generate(pgstrata::generate::Generate),
    /// Runs the proxy with a PostgreSQL of its own, to try it out.
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
    let config = Config::load(path).map_err(|error| error.to_string())?;
    let log = pgstrata::logging::init(&config.log).map_err(|error| format!("pgstrata: {error}"))?;
    for warning in config.warnings.iter().chain(&config.expired) {
        tracing::warn!("{warning}");
    }
    descriptors::raise();
    let served = serve_until_told(config);
    log.flush();
    served.map_err(|error| format!("pgstrata: {error}"))
}

fn serve_until_told(config: Config) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(ServeError::Thread)?.block_on(async {
        let signals = Signals::install().map_err(ServeError::Thread)?;
        pgstrata::serve_until(config, async |shared| signals.stop(shared).await).await
    })
}
