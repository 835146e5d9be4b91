//! pgstrata next to its peers: `make bench`.
//!
//! # Layout
//! - [`options`]: what the user asks for.
//! - [`ground`]: the PostgreSQL behind all, and its tenants. [`delay`]: a network that is further away.
//! - [`peer`], [`start`], [`process`]: those that are compared, how they are started, what they use.
//! - [`pgbench`], [`wire`], [`syscalls`]: what loads and counts.
//! - [`cases`]: what is measured. [`samples`]: the figures.
//! - [`report`], [`budgets`], [`losses`], [`plots`], [`document`]: what is printed and written.

mod bench;
mod budgets;
mod cases;
mod delay;
mod document;
mod ground;
mod losses;
mod machine;
mod options;
mod peer;
mod pgbench;
mod plots;
mod process;
mod report;
mod samples;
mod start;
mod syscalls;
mod wire;

use clap::Parser;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::bench::Bench;
use crate::options::Options;

/// Whatever went wrong, in words.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    let options = Options::parse();
    // Thousands of clients are thousands of files, for the peers as well, which inherit this.
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, most, most)?;
    let cluster = ground::cluster()?;
    let folder = tempfile::Builder::new().prefix("pgstrata-bench-").tempdir()?;
    pgstrata::demo::account::Account::choose()?.give(folder.path())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        // What was started ends with this function, and not by itself.
        _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
        _ = terminate.recv() => Err("terminated".into()),
        done = Bench::run(&options, &cluster, folder.path()) => done,
    }
}
