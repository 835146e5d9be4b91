//! PostgreSQL takes fewer connections than the pool may have: what clients get of the servers that there are.
//!
//! `cargo run --release --bin limit -- [--pgstrata PATH] [--clients 40] [--seconds 10]`

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use pgstrata::demo::postgres::{Cluster, Options as ClusterOptions};
use pgstrata::demo::seed::seed;
use pgstrata_benches::program::Proxy;
use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// What is to be measured.
#[derive(Debug, Parser)]
struct Options {
    /// The program; else the one beside this.
    #[arg(long)]
    pgstrata: Option<PathBuf>,
    /// So many clients at once.
    #[arg(long, default_value_t = 40)]
    clients: usize,
    /// For how long, in seconds.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// The role's limit of connections.
    #[arg(long, default_value_t = 7)]
    limit: u32,
}

fn main() -> Outcome<()> {
    let options = Options::parse();
    let program = Proxy::program(options.pgstrata.clone())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!("{} clients, the role may have {} connections:", options.clients, options.limit);
    for servers in [4, 10] {
        let cluster = Cluster::start(ClusterOptions::default())?;
        runtime.block_on(async {
            seed(&cluster).await?;
            let server = connect(&cluster.superuser("postgres")).await?;
            let limit = format!("ALTER ROLE app CONNECTION LIMIT {}", options.limit);
            server.batch_execute(&limit).await
        })?;
        let lines = format!("[pool]\nmax_servers = {servers}\nwait_timeout = '5s'");
        let proxy = Proxy::start(&program, &cluster, &lines, "true")?;
        println!("  max_servers = {servers:2}   {}", runtime.block_on(transactions(&options, proxy.port)));
    }
    Ok(())
}

async fn connect(config: &tokio_postgres::Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// What all clients together got done, and how.
async fn transactions(options: &Options, port: u16) -> String {
    let mut clients = JoinSet::new();
    let until = Instant::now() + Duration::from_secs(options.seconds);
    for _ in 0..options.clients {
        clients.spawn(client(port, until));
    }
    let (mut times, mut refused) = (Vec::new(), 0);
    while let Some(Ok((took, faults))) = clients.join_next().await {
        times.extend(took);
        refused += faults;
    }
    times.sort_unstable();
    let p99 = times.get(times.len() * 99 / 100).map_or(0.0, |time: &Duration| time.as_secs_f64() * 1e3);
    format!("{:6} commits, p99 {p99:7.1} ms, {refused} errors", times.len())
}

async fn client(port: u16, until: Instant) -> (Vec<Duration>, usize) {
    let url = format!("postgresql://app:app@127.0.0.1:{port}/app?options=-ctenant%3Dglobex");
    let (mut times, mut faults) = (Vec::new(), 0);
    let Ok(config) = url.parse() else { return (times, 1) };
    let mut open = None;
    while Instant::now() < until {
        if open.is_none() {
            open = connect(&config).await.ok();
        }
        let Some(client) = &open else {
            faults += 1;
            tokio::time::sleep(Duration::from_millis(10)).await;
            continue;
        };
        let begun = Instant::now();
        match client.batch_execute("BEGIN; UPDATE users SET name = name WHERE id = 0; COMMIT").await {
            Ok(()) => times.push(begun.elapsed()),
            Err(error) => {
                faults += 1;
                open = open.filter(|_| error.as_db_error().is_some());
            }
        }
    }
    (times, faults)
}
