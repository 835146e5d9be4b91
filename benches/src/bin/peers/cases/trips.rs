//! One tenant's read: round trips to PostgreSQL and the time it takes, by how far away PostgreSQL is.

use std::time::Duration;

use pgstrata_tenancy::Strategy;
use tokio::time::Instant;

use crate::Outcome;
use crate::bench::Bench;
use crate::delay::Delay;
use crate::peer::{BY_PATH, Peer, QUALIFIED};
use crate::samples::Metric;
use crate::start::{Entries, tenant_option};
use crate::wire::Client;

/// What a round trip takes longer, in milliseconds.
pub const LATENCIES: [u64; 3] = [0, 1, 10];
const READS: usize = 20;

/// The tenant's path, set by the application on a connection of its own.
pub const NAIVE_PATH: &str = "naive search_path: connect, BEGIN, SET LOCAL, SELECT, COMMIT";
/// The tenant's schema in the text.
pub const NAIVE_QUALIFIED: &str = "naive schema_qualified: connect, SELECT";
/// The same as [`NAIVE_PATH`], with the connection kept.
pub const KEPT_PATH: &str = "search_path, connection kept: BEGIN to COMMIT";
/// The same through PgBouncer.
pub const PGBOUNCER_PATH: &str = "the same through PgBouncer";
/// All of it in one text.
pub const PGBOUNCER_TEXT: &str = "the same through PgBouncer, in one simple query";

const SELECT: &str = "SELECT name FROM accounts WHERE id = 7";
const FOUR: &[&str] = &["BEGIN", "SET LOCAL search_path TO t_1, public", SELECT, "COMMIT"];
const TOGETHER: &[&str] =
    &["BEGIN; SET LOCAL search_path TO t_1, public; SELECT name FROM accounts WHERE id = 7; COMMIT"];

/// All of them, in the order of the table.
pub const WAYS: [&str; 7] =
    [NAIVE_PATH, NAIVE_QUALIFIED, KEPT_PATH, PGBOUNCER_PATH, PGBOUNCER_TEXT, BY_PATH, QUALIFIED];

/// A case's name in the samples.
pub fn case(latency: u64) -> String {
    format!("trips {latency} ms")
}

#[derive(Debug)]
struct Way {
    name: &'static str,
    port: u16,
    options: String,
    /// Connected once; else for each read.
    kept: Option<Client>,
    texts: &'static [&'static str],
}

/// All ways in turn, at each distance.
pub async fn trips(bench: &mut Bench<'_>) -> Outcome<()> {
    let delay = Delay::start(bench.cluster.port())?;
    let (mut ways, _processes) = ways(bench, &delay).await?;
    for latency in LATENCIES {
        delay.set(Duration::from_millis(latency));
        let case = case(latency);
        for _ in 0..READS {
            for way in &mut ways {
                let before = delay.trips();
                let begun = Instant::now();
                read(way).await?;
                let took = begun.elapsed().as_secs_f64() * 1000.0;
                bench.samples.add(&case, Metric::P50, way.name, took);
                bench.samples.add(&case, Metric::Trips, way.name, (delay.trips() - before) as f64);
            }
        }
        let mut line = format!("{case:24}");
        for way in &ways {
            let [trips, time] =
                [Metric::Trips, Metric::P50].map(|metric| bench.samples.median(&case, metric, way.name));
            line.push_str(&format!("  {} / {:.1} ms", trips.unwrap_or(0.0), time.unwrap_or(0.0)));
        }
        eprintln!("{line}");
    }
    Ok(())
}

/// With the processes that they need.
async fn ways(bench: &Bench<'_>, delay: &Delay) -> Outcome<(Vec<Way>, Vec<Peer>)> {
    let starter = bench.starter();
    let mut keep = Vec::new();
    let server = ("127.0.0.1".to_owned(), delay.port());
    let qualified: &[&str] = &["SELECT name FROM t_1.accounts WHERE id = 7"];
    let way = |name, port, texts| Way { name, port, options: String::new(), kept: None, texts };
    let mut ways = vec![way(NAIVE_PATH, delay.port(), FOUR), way(NAIVE_QUALIFIED, delay.port(), qualified)];
    let mut kept = vec![way(KEPT_PATH, delay.port(), FOUR)];
    if let Some(peer) = starter.pgbouncer(server.clone(), Entries::One).await? {
        kept.push(way(PGBOUNCER_PATH, peer.port, FOUR));
        kept.push(way(PGBOUNCER_TEXT, peer.port, TOGETHER));
        keep.push(peer);
    }
    for (name, strategy) in [(BY_PATH, Strategy::SearchPath), (QUALIFIED, Strategy::SchemaQualified)] {
        let peer = starter.pgstrata(strategy, server.clone()).await?;
        kept.push(Way { options: tenant_option("t_1"), ..way(name, peer.port, &[SELECT]) });
        keep.push(peer);
    }
    for mut way in kept {
        way.kept = Some(Client::app(way.port, &way.options).await?);
        // The first read opens a server and asks the catalog.
        read(&mut way).await?;
        read(&mut way).await?;
        ways.push(way);
    }
    Ok((ways, keep))
}

async fn read(way: &mut Way) -> Outcome<()> {
    let mut fresh = match way.kept {
        Some(_) => None,
        None => Some(Client::app(way.port, &way.options).await?),
    };
    let Some(client) = fresh.as_mut().or(way.kept.as_mut()) else { return Ok(()) };
    let mut rows = 0;
    for text in way.texts {
        rows += client.query(text).await?;
    }
    if rows == 1 { Ok(()) } else { Err(format!("{}: {rows} rows in place of one", way.name).into()) }
}
