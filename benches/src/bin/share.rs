//! One tenant holds on to all the servers that it gets: what another tenant's client sees, with no limit and with one.
//!
//! `cargo run --release --bin share -- [--pgstrata PATH] [--holders 40] [--seconds 5]`

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use pgstrata::demo::postgres::{Cluster, Options as ClusterOptions};
use pgstrata::demo::seed::seed;
use pgstrata_benches::neighbour::{connect, watch};
use pgstrata_benches::program::Proxy;
use tokio::task::JoinSet;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Servers of the pool.
const SERVERS: usize = 8;

/// How the holders use what they get, by name and statement.
const WAYS: [(&str, &str); 3] = [
    ("idle in a transaction", "BEGIN; SELECT 1"),
    ("pg_sleep(60)", "SELECT pg_sleep(60)"),
    ("temporary tables", "CREATE TEMPORARY TABLE held (n int)"),
];

/// What is to be measured.
#[derive(Debug, Parser)]
struct Options {
    /// The program; else the one beside this.
    #[arg(long)]
    pgstrata: Option<PathBuf>,
    /// So many clients of the tenant that holds on.
    #[arg(long, default_value_t = 40)]
    holders: usize,
    /// For how long the other tenant's client is watched in each case, in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
}

fn main() -> Outcome<()> {
    let options = Options::parse();
    let program = Proxy::program(options.pgstrata.clone())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!(
        "| {SERVERS} servers; {} clients of another tenant, p50 / p99: | no limit | default |",
        options.holders
    );
    println!("| --- | --- | --- |");
    let none = format!("max_servers_per_tenant = {SERVERS}");
    for (way, sql) in [("none", None)].into_iter().chain(WAYS.map(|(way, sql)| (way, Some(sql)))) {
        let [off, on] = [&*none, ""].map(|line| runtime.block_on(case(&options, &program, line, sql)));
        println!("| {way} | {} | {} |", off?, on?);
    }
    Ok(())
}

/// What one client of `globex` sees beside those of `acme_corp` that run `sql`.
async fn case(options: &Options, program: &Path, line: &str, sql: Option<&'static str>) -> Outcome<String> {
    let cluster = Cluster::start(ClusterOptions::default())?;
    seed(&cluster).await?;
    let lines = format!("[pool]\nmax_servers = {SERVERS}\nwait_timeout = '1s'\n[tenancy]\n{line}");
    let proxy = Proxy::start(program, &cluster, &lines, "true")?;
    let quiet = connect(proxy.port, "globex").await?;
    quiet.batch_execute("SELECT 1").await?;
    let mut holders = JoinSet::new();
    for _ in 0..if sql.is_some() { options.holders } else { 0 } {
        let client = connect(proxy.port, "acme_corp").await?;
        holders.spawn(async move {
            // Those that get no server try again: there may be one.
            while client.batch_execute(sql.unwrap_or_default()).await.is_err() {}
            std::future::pending::<()>().await;
        });
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    Ok(watch(&quiet, Duration::from_secs(options.seconds)).await.to_string())
}
