//! The `pgstrata` binary.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use pgstrata::config::Config;
use tokio::signal::unix::{SignalKind, signal};

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
    Check {
        /// The configuration file.
        #[arg(long, default_value = "pgstrata.toml")]
        config: PathBuf,
    },
    /// Says which way a text would go for a tenant, and what PostgreSQL would get.
    Explain(pgstrata::explain::Args),
    /// Prints SQL for an administrator to run.
    #[command(subcommand)]
    Sql(pgstrata::catalog::install::Sql),
    /// Makes, shows, changes and drops tenants.
    Tenant(pgstrata::tenant::Args),
    /// Attacks a deployment with two throw-away tenants, and says what held.
    Selftest(pgstrata::selftest::Args),
    /// Runs the proxy with a PostgreSQL of its own, to try it out.
    Demo(pgstrata::demo::Args),
}

fn main() -> ExitCode {
    let result = match Command::parse() {
        Command::Serve { config } => serve(&config),
        Command::Check { config } => check(&config),
        Command::Explain(args) => pgstrata::explain::run(&args),
        Command::Sql(sql) => sql.print(),
        Command::Tenant(args) => return pgstrata::tenant::run(args),
        Command::Selftest(args) => {
            pgstrata::selftest::run(&args).map_err(|error| format!("pgstrata: {error}"))
        }
        Command::Demo(args) => pgstrata::demo::run(&args).map_err(|error| format!("pgstrata: {error}")),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(path: &std::path::Path) -> Result<(), String> {
    let config = Config::load(path).map_err(|error| error.to_string())?;
    pgstrata::logging::init(&config.log).map_err(|error| format!("pgstrata: {error}"))?;
    pgstrata::serve_blocking(config, stop_signal()).map_err(|error| format!("pgstrata: {error}"))
}

fn check(path: &std::path::Path) -> Result<(), String> {
    Config::load(path).map_err(|error| error.to_string())?;
    println!("{}: ok", path.display());
    Ok(())
}

/// SIGTERM or SIGINT.
async fn stop_signal() {
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        // With no handler the signal ends the process by itself.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
    // The second time there is no waiting for clients.
    tokio::spawn(async move {
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
        std::process::exit(1);
    });
}
