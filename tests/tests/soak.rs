//! Much of everything, for long: the memory of the proxy must stay as it is. `make soak` runs
//! the full size against a release build.

use std::fmt::Write;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use pgstrata::demo::postgres::Cluster;
use pgstrata_tests::program::pgstrata;
use pgstrata_tests::stage::{free_port, tenant_option};
use pgstrata_tests::{Answer, Setup, Wire, database, stage};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::net::TcpStream;
use tokio::process::Child;
use tokio::task::JoinSet;

const TENANTS: usize = 100;
/// More than the plan cache and the servers' prepared statements have room for.
const SHAPES: u32 = 4000;
/// So few that all of them have come in the first part: the proxy remembers what it has tried out.
const NAMES: u32 = 20;
/// Clients at once; the first of them stay from the beginning to the end.
const CLIENTS: usize = 16;
const STAYING: usize = 4;
/// Requests that a client has on its way at once.
const BATCH: usize = 15;
/// The run in as many parts: after the first of them memory may grow no more.
const PARTS: usize = 10;
/// By so many percent, that is.
const GROWTH: u64 = 5;

fn number(name: &str, default: usize) -> usize {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty());
    text.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

fn tenant(number: usize) -> String {
    format!("soak_{:03}", number % TENANTS)
}

async fn make_tenants(cluster: &Cluster) {
    let server = stage::connect(&cluster.superuser("app")).await.unwrap();
    for number in 0..TENANTS {
        let tenant = tenant(number);
        let made = format!(
            "CREATE SCHEMA {tenant} AUTHORIZATION app; SET ROLE app; SET search_path TO {tenant};
             CREATE TABLE items (id integer PRIMARY KEY, name text);
             INSERT INTO items SELECT n, '{tenant}' FROM generate_series(1, 9) n;
             CREATE TABLE log (id integer, name text);
             RESET ROLE"
        );
        server.batch_execute(&made).await.unwrap();
    }
}

/// The program, serving: both strategies, and caches that are full soon.
async fn serve(folder: &Path, port: u16, cluster: &Cluster) -> Child {
    // Each thread keeps some texts: as many threads on any machine.
    let limits = "threads = 2\nplan_cache_bytes = 262144\nmax_prepared_statements_per_server = 50";
    // Statistics fill what they may have in the first tenth.
    let statistics = "statements_memory = 1048576";
    let setup = Setup::new()
        .servers(8)
        .line("limits", limits)
        .line("log", "level = 'error'")
        .line("metrics", statistics);
    let mut text = setup.toml(port, free_port(), cluster.port());
    for number in (0..TENANTS).step_by(2) {
        write!(text, "[tenants.{}]\nstrategy = 'schema_qualified'\n", tenant(number)).unwrap();
    }
    let file = folder.join("pgstrata.toml");
    std::fs::write(&file, text).unwrap();
    let mut program = pgstrata();
    program.arg("serve").arg("--config").arg(file).stderr(Stdio::inherit()).kill_on_drop(true);
    let mut child = program.spawn().unwrap();
    while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
        assert!(child.try_wait().unwrap().is_none(), "the proxy has ended");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    child
}

/// What of the process is in memory, in KiB.
fn resident(process: &Child) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.id().unwrap())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// What is expected of a request's answer.
enum Expect {
    /// One row, with the tenant's name.
    Name,
    /// No error.
    Done,
    /// This SQLSTATE.
    Error(&'static str),
}

struct Worker {
    port: u16,
    number: usize,
    random: StdRng,
    /// Connections so far, of all workers: each is the next tenant's.
    logins: Arc<AtomicUsize>,
    wire: Option<Wire>,
    /// The number of its tenant, and its name.
    at: usize,
    tenant: String,
    prepared: Vec<String>,
    /// A text that may come again.
    again: Option<String>,
    /// Statements that it has prepared so far.
    named: u64,
}

impl Worker {
    fn new(port: u16, number: usize, logins: &Arc<AtomicUsize>) -> Self {
        Self {
            port,
            number,
            random: StdRng::seed_from_u64(number as u64),
            logins: logins.clone(),
            wire: None,
            at: 0,
            tenant: String::new(),
            prepared: Vec::new(),
            again: None,
            named: 0,
        }
    }

    /// Sends so many requests; after `each` of them it comes anew.
    async fn work(mut self, requests: usize, each: Option<usize>) -> Self {
        let mut sent = 0;
        while sent < requests {
            if self.wire.is_none() || each.is_some_and(|each| sent % each < BATCH) {
                self.connect().await;
            }
            self.batch().await;
            sent += BATCH;
        }
        self
    }

    async fn connect(&mut self) {
        if let Some(mut old) = self.wire.take() {
            // Some say good-bye, others are gone.
            if self.random.random_bool(0.5) {
                old.terminate().flush().await;
            }
        }
        self.at = self.logins.fetch_add(1, Ordering::Relaxed);
        self.tenant = tenant(self.at);
        self.prepared.clear();
        let option = tenant_option(&self.tenant);
        let name = format!("soak {}", self.random.random_range(0..NAMES));
        let parameters = [("options", option.as_str()), ("application_name", name.as_str())];
        self.wire = Some(Wire::login(self.port, "app", "app", &parameters).await.unwrap());
    }

    async fn batch(&mut self) {
        let mut wire = self.wire.take().unwrap();
        let expected: Vec<Expect> = (0..BATCH).map(|_| self.request(&mut wire)).collect();
        wire.flush().await;
        for expect in expected {
            let answer = wire.until(b'Z').await;
            self.check(&expect, &answer);
        }
        self.wire = Some(wire);
    }

    fn check(&self, expect: &Expect, answer: &Answer) {
        match expect {
            Expect::Name => assert_eq!(answer.column(), [self.tenant.as_str()]),
            Expect::Done => assert_eq!(answer.fault(), None),
            Expect::Error(code) => assert_eq!(answer.code(), *code, "{answer:?}"),
        }
    }

    /// A statement of one of many shapes; half of them come once more, as drivers do it.
    fn select(&mut self) -> String {
        if let Some(same) = self.again.take_if(|_| self.random.random_bool(0.5)) {
            return same;
        }
        let text = self.new_select();
        self.again = Some(text.clone());
        text
    }

    fn new_select(&mut self) -> String {
        let shape = self.random.random_range(0..SHAPES);
        let id = self.random.random_range(1..10);
        match shape % 3 {
            0 => format!("SELECT name AS n{shape} FROM items WHERE id = {id}"),
            1 => format!("SELECT i.name FROM items i JOIN items j{shape} USING (id) WHERE id = {id}"),
            _ => format!("SELECT max(name), max({id} + {shape}) AS m{shape} FROM items"),
        }
    }

    fn request(&mut self, wire: &mut Wire) -> Expect {
        let text = self.select();
        match self.random.random_range(0..20) {
            0..7 => wire.query(&text),
            7..10 => wire.parse("", &text).bind("", &[]).execute().sync(),
            10..13 => {
                self.named += 1;
                let name = format!("s{}", self.named);
                wire.parse(&name, &text).bind(&name, &[]).execute().sync();
                self.prepared.push(name);
                return Expect::Name;
            }
            13 => match self.prepared.pop() {
                Some(name) => {
                    wire.bind(&name, &[]).execute().close(&name);
                    // So few are left that a client which stays has no more of them at its end.
                    for more in self.prepared.drain(self.prepared.len().min(20)..) {
                        wire.close(&more);
                    }
                    wire.sync()
                }
                None => wire.query(&text),
            },
            14 => {
                let value = self.random.random_range(0..SHAPES);
                wire.query(&format!("SET application_name = 'soak {value}'"));
                return Expect::Done;
            }
            15 => {
                wire.query(&format!("SELECT * FROM missing_{}", self.random.random_range(0..SHAPES)));
                return Expect::Error("42P01");
            }
            16 => {
                let other = tenant(self.at + self.random.random_range(1..TENANTS));
                wire.parse("", &format!("SELECT name FROM {other}.items")).bind("", &[]).execute().sync();
                return Expect::Error("42501");
            }
            17 => {
                let id = self.random.random_range(0..1000);
                wire.query(&format!("INSERT INTO log VALUES ({id}, '{}')", self.tenant));
                return Expect::Done;
            }
            18 => wire.query(&format!("BEGIN; INSERT INTO log VALUES (1, 'x'); ROLLBACK; {text}")),
            _ => wire.query(&format!("SET LOCAL work_mem = '5MB'; {text}")),
        };
        Expect::Name
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_stays_flat() {
    let requests = number("PGSTRATA_SOAK_REQUESTS", 45_000);
    let connects = number("PGSTRATA_SOAK_CONNECTS", 1_000);
    let cluster = database::cluster().await;
    make_tenants(&cluster).await;
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let proxy = serve(folder.path(), port, &cluster).await;
    let each = requests * (CLIENTS - STAYING) / CLIENTS / connects;
    let logins = Arc::default();
    let mut workers: Vec<Worker> = (0..CLIENTS).map(|number| Worker::new(port, number, &logins)).collect();
    let mut resident_after = Vec::new();
    for _ in 0..PARTS {
        let mut working = JoinSet::new();
        for worker in workers.drain(..) {
            let each = (worker.number >= STAYING).then_some(each);
            working.spawn(worker.work(requests / PARTS / CLIENTS, each));
        }
        workers = working.join_all().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        resident_after.push(resident(&proxy));
    }
    let made = logins.load(Ordering::Relaxed);
    eprintln!(
        "soak: {requests} requests, {made} connections; KiB resident after each tenth: {resident_after:?}"
    );
    let (first, last) = (resident_after[0], resident_after[PARTS - 1]);
    assert!(
        last * 100 <= first * (100 + GROWTH),
        "from {first} KiB to {last} KiB in {requests} requests: {resident_after:?}"
    );
}
