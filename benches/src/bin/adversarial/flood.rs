//! One tenant floods PostgreSQL with such texts, by the proxy or past it; another asks the proxy for `select 1`. The
//! cases take turns.

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

use crate::processor::{Spent, parent};
use crate::{Options, Outcome};

/// The flood's texts end after so long: what PostgreSQL does with them is not measured.
const STATEMENT_TIMEOUT: &str = "ALTER ROLE app SET statement_timeout = '1s'";

/// How often each case has its turn.
const ROUNDS: usize = 3;

/// What the neighbour's requests are measured beside.
struct Case {
    name: &'static str,
    /// Where the flood connects to; none: there is no flood.
    flood: Option<String>,
    latencies: Vec<Duration>,
    sent: u64,
    spent: Spent,
}

impl Case {
    fn new(name: &'static str, flood: Option<String>) -> Self {
        Self { name, flood, latencies: Vec::new(), sent: 0, spent: Spent::default() }
    }
}

/// Prints the neighbour's latencies alone, beside the flood, and beside the same flood past the proxy.
pub fn measure(options: &Options) -> Outcome<()> {
    let cluster = Cluster::start(ClusterOptions::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let postmaster = runtime.block_on(prepare(&cluster))?;
    let (proxy, url) = proxy(&cluster, options.threads)?;
    let quiet = format!("{url}globex");
    let direct =
        format!("postgresql://app:app@127.0.0.1:{}/app?options=-csearch_path%3Dacme_corp", cluster.port());
    let texts: Arc<[String]> = Mixtures::new(options.seed, options.longest)
        .take(options.texts)
        .map(|mixture| mixture.text)
        .collect();
    let turn = Duration::from_secs(options.seconds);
    let mut cases = [
        Case::new("alone", None),
        Case::new("beside a flood", Some(format!("{url}acme_corp"))),
        Case::new("beside a flood past the proxy", Some(direct)),
    ];
    for _ in 0..ROUNDS {
        for case in &mut cases {
            let flood = case.flood.as_ref().map(|url| Flood::start(url, &texts, options.clients));
            let before = Spent::so_far(postmaster);
            case.latencies.extend(runtime.block_on(latencies(&quiet, turn))?);
            case.spent += Spent::so_far(postmaster) - before;
            case.sent += flood.map_or(0, Flood::stop);
        }
    }
    drop(proxy);
    println!(
        "select 1 of one tenant, {ROUNDS} turns of {turn:?} each; floods are {} clients of another:",
        options.clients
    );
    report(&cases, turn * ROUNDS as u32);
    Ok(())
}

fn report(cases: &[Case], time: Duration) {
    let mut alone = None;
    for case in cases {
        let seen = Latencies::of(case.latencies.clone());
        println!("  {:<30}  {seen}", case.name);
        println!("  {:<30}  {}, {} texts", "", case.spent.shares(time), case.sent);
        let alone = *alone.get_or_insert(seen.p99);
        if case.flood.is_some() {
            println!(
                "  {:<30}  p99 is {:.2} of its own alone",
                "",
                seen.p99.as_secs_f64() / alone.as_secs_f64()
            );
        }
    }
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

/// Fills the cluster; gives the process that all of PostgreSQL's are children of.
async fn prepare(cluster: &Cluster) -> Outcome<u32> {
    seed(cluster).await?;
    let server = connect(&cluster.superuser("postgres")).await?;
    server.batch_execute(STATEMENT_TIMEOUT).await?;
    let backend: i32 = server.query_one("SELECT pg_backend_pid()", &[]).await?.get(0);
    Ok(parent(backend.try_into()?).unwrap_or_default())
}

async fn connect(config: &tokio_postgres::Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

async fn open(url: &str) -> Result<Client, tokio_postgres::Error> {
    connect(&url.parse()?).await
}

/// How long `select 1` takes, again and again for `turn`.
async fn latencies(url: &str, turn: Duration) -> Outcome<Vec<Duration>> {
    let client = open(url).await?;
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
            client = open(url).await.ok();
        }
        let Some(connected) = &client else { continue };
        let lost = match connected.batch_execute(text).await {
            Ok(()) => connected.batch_execute("rollback").await.is_err(),
            Err(error) => error.as_db_error().is_none() || connected.batch_execute("rollback").await.is_err(),
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
