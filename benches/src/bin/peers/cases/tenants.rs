//! A thousand tenants, each with a client of its own, through twenty servers; 32 of them ask at a time.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::Outcome;
use crate::bench::Bench;
use crate::ground::{DATABASE, SERVERS, TENANTS};
use crate::peer::{BY_PATH, PGBOUNCER, Peer, QUALIFIED};
use crate::process::used;
use crate::report;
use crate::samples::{Metric, median};
use crate::start::{Entries, tenant_option};
use crate::wire::Client;

/// The case's name in the samples.
pub const CASE: &str = "tenants";
/// All clients work for one tenant.
pub const ONE: &str = "pgstrata, search_path, one tenant";
/// What others are compared with: the client names the tenant, message by message.
pub const FOUR_MESSAGES: &str = "PgBouncer, BEGIN / SET LOCAL / SELECT / COMMIT";
/// The client names the tenant in one text, which drivers with parameters can't send.
pub const ONE_TEXT: &str = "PgBouncer, the same in one simple query";
/// A database entry for each tenant.
pub const FEW_SERVERS: &str = "PgBouncer, an entry each, 20 servers";
/// A database entry and a server for each tenant.
pub const MANY_SERVERS: &str = "PgBouncer, an entry each, 1,000 servers";

/// All of them, in the order of the table.
pub const WAYS: [&str; 7] = [FOUR_MESSAGES, ONE_TEXT, FEW_SERVERS, MANY_SERVERS, ONE, BY_PATH, QUALIFIED];

const WORKERS: usize = 32;
/// For so long a way may take until each client has had an answer.
const LOGINS: Duration = Duration::from_secs(20);
const WARM_UP: Duration = Duration::from_secs(3);

/// One way to serve many tenants.
#[derive(Debug)]
struct Way {
    name: &'static str,
    peer: Peer,
    entry: bool,
    /// What clients send; `{}` is the tenant's number.
    texts: &'static [&'static str],
    /// The clients, each with its tenant, a group for each worker.
    groups: Vec<Vec<(usize, Client)>>,
}

const SELECT: &str = "SELECT name FROM accounts WHERE id = 7";
const FOUR: &[&str] = &["BEGIN", "SET LOCAL search_path TO t_{}, public", SELECT, "COMMIT"];
const TOGETHER: &[&str] =
    &["BEGIN; SET LOCAL search_path TO t_{}, public; SELECT name FROM accounts WHERE id = 7; COMMIT"];

/// All ways in turn.
pub async fn tenants(bench: &mut Bench<'_>) -> Outcome<()> {
    let mut ways = Vec::new();
    for mut way in self::ways(bench).await? {
        let before = memory(&bench.backends().await?);
        // Everybody, then for a while: servers are opened, and each of them comes to know each tenant's table.
        let ready = async {
            log_in(&mut way).await?;
            turn(&mut way, None).await?;
            turn(&mut way, Some(WARM_UP)).await
        };
        match timeout(LOGINS, ready).await {
            Ok(ready) => drop(ready?),
            Err(_) => {
                eprintln!("{CASE}, {}: not all were logged in after {LOGINS:?}", way.name);
                continue;
            }
        }
        let grown = memory(&bench.backends().await?) - before;
        bench.samples.add(CASE, Metric::Memory, way.name, grown);
        ways.push(way);
    }
    for _ in 0..bench.rounds() {
        for way in &mut ways {
            let before = way.peer.cpu_micros();
            let backends = bench.backends().await?;
            let server_before = used(&backends);
            let begun = Instant::now();
            let mut times = turn(way, Some(Duration::from_secs(bench.options.seconds))).await?;
            let took = begun.elapsed().as_secs_f64();
            let count = times.len() as f64;
            bench.samples.add(CASE, Metric::Rate, way.name, count / took);
            if let (Some(before), Some(after)) = (before, way.peer.cpu_micros()) {
                bench.samples.add(CASE, Metric::Cpu, way.name, (after - before) / count);
            }
            let server = (used(&backends) - server_before) / count;
            bench.samples.add(CASE, Metric::Server, way.name, server);
            times.sort_by(f64::total_cmp);
            let p99 = times.get(times.len() * 99 / 100).copied().unwrap_or(f64::NAN);
            bench.samples.add(CASE, Metric::P50, way.name, median(&times).unwrap_or(f64::NAN));
            bench.samples.add(CASE, Metric::P99, way.name, p99);
        }
        if !ways.is_empty() {
            ways.rotate_left(1);
        }
    }
    report::progress(bench, CASE);
    Ok(())
}

async fn ways(bench: &Bench<'_>) -> Outcome<Vec<Way>> {
    let starter = bench.starter();
    let way = |name, peer: Peer, entry, texts| Way { name, peer, entry, texts, groups: Vec::new() };
    let mut ways = Vec::new();
    for peer in &bench.peers {
        match peer.name.as_str() {
            PGBOUNCER => {
                ways.push(way(FOUR_MESSAGES, peer.clone(), false, FOUR));
                ways.push(way(ONE_TEXT, peer.clone(), false, TOGETHER));
            }
            BY_PATH => {
                ways.push(way(BY_PATH, peer.clone(), false, &[SELECT]));
                ways.push(way(ONE, peer.clone(), false, &[SELECT]));
            }
            QUALIFIED => ways.push(way(QUALIFIED, peer.clone(), false, &[SELECT])),
            _ => {}
        }
    }
    // They take long to begin.
    let entries = [(FEW_SERVERS, SERVERS), (MANY_SERVERS, TENANTS)];
    for (name, servers) in entries.into_iter().filter(|_| !bench.options.quick) {
        if let Some(peer) = starter.pgbouncer(starter.server(), Entries::Each(servers)).await? {
            ways.push(way(name, peer, true, &[SELECT]));
        }
    }
    Ok(ways)
}

/// A client for each tenant, each worker its share of them.
async fn log_in(way: &mut Way) -> Outcome<()> {
    let mut tasks = JoinSet::new();
    for worker in 0..WORKERS {
        let (port, entry, name) = (way.peer.port, way.entry, way.name);
        let is_ours = way.peer.is_ours();
        tasks.spawn(async move {
            let mut group = Vec::new();
            for tenant in (1..=TENANTS).skip(worker).step_by(WORKERS) {
                let tenant = if name == ONE { 1 } else { tenant };
                let schema = format!("t_{tenant}");
                let options = if is_ours { tenant_option(&schema) } else { String::new() };
                let database = if entry { schema.as_str() } else { DATABASE };
                group.push((tenant, Client::login(port, database, &options).await?));
            }
            Outcome::Ok(group)
        });
    }
    while let Some(group) = tasks.join_next().await {
        way.groups.push(group??);
    }
    Ok(())
}

/// Each worker goes round its clients, once or for so long: how many milliseconds each request took.
async fn turn(way: &mut Way, time: Option<Duration>) -> Outcome<Vec<f64>> {
    let mut tasks = JoinSet::new();
    let end = time.map(|time| Instant::now() + time);
    for mut group in way.groups.drain(..) {
        let texts = way.texts;
        tasks.spawn(async move {
            let mut times = Vec::new();
            loop {
                for (tenant, client) in &mut group {
                    let begun = Instant::now();
                    for text in texts {
                        client.query(&text.replace("{}", &tenant.to_string())).await?;
                    }
                    times.push(begun.elapsed().as_secs_f64() * 1000.0);
                    if end.is_some_and(|end| Instant::now() > end) {
                        return Outcome::Ok((group, times));
                    }
                }
                if end.is_none() {
                    return Ok((group, times));
                }
            }
        });
    }
    let mut all = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let (group, times) = done??;
        way.groups.push(group);
        all.extend(times);
    }
    Ok(all)
}

/// KiB that these processes have for themselves.
fn memory(processes: &[i32]) -> f64 {
    let own = |id: &i32| {
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
        line.trim().trim_end_matches("kB").trim().parse::<f64>().ok()
    };
    processes.iter().filter_map(own).sum()
}
