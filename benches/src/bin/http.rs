//! What the HTTP port costs clients: how long a login takes alone, while others scrape, and beside half requests.
//!
//! `cargo run --release --bin http -- [--pgstrata PATH] [--scrapers 16] [--seconds 5]`

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use clap::Parser;
use pgstrata::demo::postgres::{Cluster, Options as ClusterOptions};
use pgstrata::demo::seed::seed;
use pgstrata_benches::program::Proxy;
use tokio_postgres::{Client, NoTls};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// What is to be measured.
#[derive(Debug, Parser)]
struct Options {
    /// The program; else the one beside this.
    #[arg(long)]
    pgstrata: Option<PathBuf>,
    /// So many scrape at once.
    #[arg(long, default_value_t = 16)]
    scrapers: usize,
    /// For how long each turn is, in seconds.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// So many half requests stand open.
    #[arg(long, default_value_t = 300)]
    half: usize,
}

fn main() -> Outcome<()> {
    let options = Options::parse();
    let program = Proxy::program(options.pgstrata.clone())?;
    let cluster = Cluster::start(ClusterOptions::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(seed(&cluster))?;
    let proxy = Proxy::start(&program, &cluster, "max_clients = 50", "ulimit -n 256")?;
    let turn = Duration::from_secs(options.seconds);
    // A connection that stays: each login alone would wait for a server's login, too.
    let _warm = runtime.block_on(log_in(proxy.port))?;
    println!("a login and `select 1`, 256 file descriptors:");
    println!("  alone                 {}", runtime.block_on(logins(proxy.port, turn)));
    let scrapers = Scrapers::start(proxy.http, options.scrapers);
    let beside = runtime.block_on(logins(proxy.port, turn));
    println!("  beside {:3} scrapers   {beside}, {} scrapes", options.scrapers, scrapers.stop());
    let mut half = Vec::new();
    for _ in 0..options.half {
        let mut stream = TcpStream::connect(("127.0.0.1", proxy.http))?;
        let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: ");
        half.push(stream);
    }
    println!("  {:3} half requests     {}", options.half, runtime.block_on(logins(proxy.port, turn)));
    Ok(())
}

async fn log_in(port: u16) -> Result<Client, tokio_postgres::Error> {
    let url =
        format!("postgresql://app:app@127.0.0.1:{port}/app?options=-ctenant%3Dglobex&connect_timeout=5");
    let config: tokio_postgres::Config = url.parse()?;
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    client.simple_query("select 1").await?;
    Ok(client)
}

/// One login after the other for that time: median and worst, and how many failed.
async fn logins(port: u16, turn: Duration) -> String {
    let (mut times, mut failed, until) = (Vec::new(), 0, Instant::now() + turn);
    while Instant::now() < until {
        let begun = Instant::now();
        match tokio::time::timeout(Duration::from_secs(5), log_in(port)).await {
            Ok(Ok(_)) => times.push(begun.elapsed()),
            _ => failed += 1,
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).or(times.last());
    let told =
        |time: Option<&Duration>| time.map_or("-".into(), |t| format!("{:.1} ms", t.as_secs_f64() * 1e3));
    format!("median {:>9}, p99 {:>9}, {} logins, {failed} failed", told(at(50)), told(at(99)), times.len())
}

/// Threads that ask for `/metrics`, again and again.
struct Scrapers {
    over: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Scrapers {
    fn start(port: u16, count: usize) -> Self {
        let (over, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let threads = (0..count).map(|_| {
            let (over, answers) = (Arc::clone(&over), Arc::clone(&answers));
            thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let scraped = scrape(port).unwrap_or(false);
                    answers.fetch_add(u64::from(scraped), Ordering::Relaxed);
                }
            })
        });
        Self { threads: threads.collect(), over, answers }
    }

    fn stop(self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads {
            let _ = thread.join();
        }
        self.answers.load(Ordering::Relaxed)
    }
}

fn scrape(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer.starts_with(b"HTTP/1.1 200"))
}
