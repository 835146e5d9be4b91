//! One client of a tenant beside a flood of another tenant's: what it sees alone, with no limit, and with each limit.
//!
//! `cargo run --release --bin flood -- [--pgstrata PATH] [--clients 200] [--seconds 3]`

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

/// What the flood runs, by name and statement.
const FLOODS: [(&str, &str); 2] =
    [("short statements", "SELECT name FROM users WHERE id = 1"), ("pg_sleep(1)", "SELECT pg_sleep(1)")];

/// The limits that are tried, each by itself: its name, and the lines behind `[tenancy]`.
const LIMITS: [(&str, &str); 9] = [
    ("none", "max_servers_per_tenant = 8"),
    ("default share: 6 of 8 servers", ""),
    ("`max_servers = 2`", "[tenancy.limits]\nmax_servers = 2"),
    ("`min_servers = 2` of the quiet one", "[tenants.globex.limits]\nmin_servers = 2"),
    ("`weight = 10` of the quiet one", "max_servers_per_tenant = 8\n[tenants.globex.limits]\nweight = 10"),
    ("`max_clients = 20`", "[tenants.acme_corp.limits]\nmax_clients = 20"),
    ("`max_waiting = 10`", "[tenants.acme_corp.limits]\nmax_waiting = 10"),
    ("`requests_per_second = 200`", "[tenants.acme_corp.limits]\nrequests_per_second = 200"),
    ("`query_timeout = \"500ms\"`", "[tenants.acme_corp.limits]\nquery_timeout = '500ms'"),
];

/// What is to be measured.
#[derive(Debug, Parser)]
struct Options {
    /// The program; else the one beside this.
    #[arg(long)]
    pgstrata: Option<PathBuf>,
    /// So many clients of the tenant that floods.
    #[arg(long, default_value_t = 200)]
    clients: usize,
    /// For how long the other tenant's client is watched in each case, in seconds.
    #[arg(long, default_value_t = 3)]
    seconds: u64,
}

fn main() -> Outcome<()> {
    let options = Options::parse();
    let program = Proxy::program(options.pgstrata.clone())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let cluster = Cluster::start(ClusterOptions::default())?;
        seed(&cluster).await?;
        let [(short, _), (long, _)] = FLOODS;
        println!("| limit | beside {} clients: {short} | {long} |", options.clients);
        println!("| --- | --- | --- |");
        let alone = case(&options, &program, &cluster, "", None).await?;
        println!("| alone | {alone} | {alone} |");
        for (name, lines) in LIMITS {
            let mut seen = Vec::new();
            for (_, sql) in FLOODS {
                seen.push(case(&options, &program, &cluster, lines, Some(sql)).await?);
            }
            println!("| {name} | {} |", seen.join(" | "));
        }
        Ok(())
    })
}

/// What one client of `globex` sees beside those of `acme_corp` that run `sql`.
async fn case(
    options: &Options,
    program: &Path,
    cluster: &Cluster,
    lines: &str,
    sql: Option<&'static str>,
) -> Outcome<String> {
    let text = format!("[pool]\nmax_servers = {SERVERS}\nwait_timeout = '10s'\n[tenancy]\n{lines}");
    let proxy = Proxy::start(program, cluster, &text, "true")?;
    let quiet = connect(proxy.port, "globex").await?;
    quiet.batch_execute("SELECT 1").await?;
    let mut flood = JoinSet::new();
    for _ in 0..if sql.is_some() { options.clients } else { 0 } {
        let port = proxy.port;
        flood.spawn(async move {
            loop {
                // One that is closed or refused comes back.
                let client = connect(port, "acme_corp").await.ok();
                if let Some(client) = client {
                    while !client.is_closed() {
                        if client.batch_execute(sql.unwrap_or_default()).await.is_err() {
                            tokio::time::sleep(Duration::from_millis(50)).await;
                        }
                    }
                }
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        });
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let seen = watch(&quiet, Duration::from_secs(options.seconds)).await.to_string();
    flood.shutdown().await;
    Ok(seen)
}
