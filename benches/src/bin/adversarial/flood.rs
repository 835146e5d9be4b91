//! One tenant floods the proxy with such texts; another asks for `select 1`, with the flood and without, in turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pgstrata::config::Config;
use pgstrata::demo::background::Background;
use pgstrata::demo::postgres::{Cluster, Options as ClusterOptions};
use pgstrata::demo::seed::seed;
use pgstrata_testkit::Mixtures;
use tokio_postgres::{Client, NoTls};

use crate::{Options, Outcome};

/// The flood's texts end after so long: what PostgreSQL does with them is not measured.
const STATEMENT_TIMEOUT: &str = "ALTER ROLE app SET statement_timeout = '1s'";

/// So often without the flood and with it.
const ROUNDS: usize = 3;

/// Prints the other's latencies with and without the flood.
pub fn measure(options: &Options) -> Outcome<()> {
    let cluster = Cluster::start(ClusterOptions::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        seed(&cluster).await?;
        let server = connect(&cluster.superuser("postgres")).await?;
        server.batch_execute(STATEMENT_TIMEOUT).await
    })?;
    let (proxy, url) = proxy(&cluster, options.threads)?;
    let texts: Arc<[String]> = Mixtures::new(options.seed, options.longest)
        .take(options.texts)
        .map(|mixture| mixture.text)
        .collect();
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    let turn = Duration::from_secs(options.seconds);
    let mut sent = 0;
    for _ in 0..ROUNDS {
        alone.extend(runtime.block_on(latencies(&url, turn))?);
        let flood = Flood::start(&url, &texts, options.clients);
        beside.extend(runtime.block_on(latencies(&url, turn))?);
        sent += flood.stop();
    }
    let (alone, beside) = (Latencies::of(alone), Latencies::of(beside));
    println!("select 1 of one tenant, {ROUNDS} turns of {turn:?} each:");
    println!("  alone           {alone}");
    println!("  beside a flood  {beside}   ({} clients of another, {sent} texts)", options.clients);
    println!("  p99 ratio       {:.2}", beside.p99.as_secs_f64() / alone.p99.as_secs_f64());
    drop(proxy);
    Ok(())
}

/// A proxy in this process, and how tenants connect to it.
fn proxy(cluster: &Cluster, threads: usize) -> Outcome<(Background, String)> {
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let toml = format!(
        "[listen]\naddress = '127.0.0.1:{port}'\n[http]\nenabled = false\n[limits]\nthreads = {threads}\n[databases.app]\n\
         host = '127.0.0.1'\nport = {}\nuser = 'app'\npassword = 'app'\ntls = 'disable'\n\
         [[users]]\nname = 'app'\npassword = 'app'\ntenants = ['*']",
        cluster.port()
    );
    let config = Config::parse(&toml, std::path::Path::new("pgstrata.toml"))?;
    Ok((Background::start(config)?, format!("postgresql://app:app@127.0.0.1:{port}/app?options=-ctenant%3D")))
}

async fn connect(config: &tokio_postgres::Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn tenant(url: &str, tenant: &str) -> Result<Client, tokio_postgres::Error> {
    connect(&format!("{url}{tenant}").parse()?).await
}

/// How long `select 1` takes, again and again for `turn`.
async fn latencies(url: &str, turn: Duration) -> Outcome<Vec<Duration>> {
    let client = tenant(url, "globex").await?;
    let (mut all, until) = (Vec::new(), Instant::now() + turn);
    while Instant::now() < until {
        let begun = Instant::now();
        client.simple_query("select 1").await?;
        all.push(begun.elapsed());
        // An application does something else in between.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(all)
}

/// Clients that send one text after the other.
struct Flood {
    over: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: thread::JoinHandle<()>,
}

impl Flood {
    fn start(url: &str, texts: &Arc<[String]>, clients: usize) -> Self {
        let (over, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (url, texts) = (url.to_owned(), Arc::clone(texts));
        let (ends, counts) = (Arc::clone(&over), Arc::clone(&sent));
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let Ok(runtime) = runtime else { return };
            runtime.block_on(async {
                let each = (0..clients).map(|first| flood(&url, &texts, first, clients, &ends, &counts));
                futures_util::future::join_all(each).await;
            });
        });
        Self { over, sent, thread }
    }

    fn stop(self) -> u64 {
        self.over.store(true, Ordering::Relaxed);
        _ = self.thread.join();
        self.sent.load(Ordering::Relaxed)
    }
}

/// Every `step`th text from the `first` on; a connection that a text has ended is made anew.
async fn flood(url: &str, texts: &[String], first: usize, step: usize, over: &AtomicBool, sent: &AtomicU64) {
    let mut client = None;
    for text in texts.iter().cycle().skip(first).step_by(step) {
        if over.load(Ordering::Relaxed) {
            return;
        }
        if client.is_none() {
            client = tenant(url, "acme_corp").await.ok();
        }
        let Some(open) = &client else { continue };
        let lost = match open.batch_execute(text).await {
            Ok(()) => open.batch_execute("rollback").await.is_err(),
            Err(error) => error.as_db_error().is_none() || open.batch_execute("rollback").await.is_err(),
        };
        if lost {
            client = None;
        }
        sent.fetch_add(1, Ordering::Relaxed);
    }
}

struct Latencies {
    count: usize,
    p50: Duration,
    p99: Duration,
    most: Duration,
}

impl Latencies {
    fn of(mut all: Vec<Duration>) -> Self {
        all.sort_unstable();
        let at = |share: usize| all.get(all.len() * share / 100).copied().unwrap_or_default();
        Self { count: all.len(), p50: at(50), p99: at(99), most: all.last().copied().unwrap_or_default() }
    }
}

impl std::fmt::Display for Latencies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { count, p50, p99, most } = self;
        write!(f, "p50 {p50:>10.1?}  p99 {p99:>10.1?}  slowest {most:>10.1?}  ({count} requests)")
    }
}
