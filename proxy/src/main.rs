//! The `pgstrata` binary.

use std::process::ExitCode;

use clap::Parser;

#[derive(Parser)]
#[command(name = "pgstrata", version, about = "A tenant-routing PostgreSQL proxy")]
enum Command {
    /// Runs the proxy with a PostgreSQL of its own, to try it out.
    Demo(pgstrata::demo::Args),
}

fn main() -> ExitCode {
    let Command::Demo(args) = Command::parse();
    match pgstrata::demo::run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("pgstrata: {error}");
            ExitCode::FAILURE
        }
    }
}
