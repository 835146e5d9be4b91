//! All that pgbench can do.

use crate::bench::Bench;
use crate::peer::Peer;
use crate::pgbench::{self, Length, Load, Mode, Run};
use crate::process::used;
use crate::samples::Metric;
use crate::{Outcome, report};

/// Clients at once, in the cases with selects.
pub const CLIENTS: [usize; 3] = [1, 32, 200];
/// Clients at once, in the others.
pub const SOME: usize = 32;
/// Clients that write, fewer than servers: pgbench prepares statements inside of transactions and waits for that with
/// all clients of a thread, also with those that have a server.
pub const WRITERS: usize = 16;
/// Clients that connect for each transaction, or that fetch a lot.
pub const FEW: usize = 8;
/// Rows of a large result: 1 MB.
pub const ROWS: usize = 10_000;

/// A case's name in the samples.
pub fn select(mode: Mode, clients: usize) -> String {
    format!("select {} {clients}", mode.as_str())
}

/// See [`select`].
pub fn tpcb(mode: Mode) -> String {
    format!("tpcb {}", mode.as_str())
}

/// Selects by key, of so many clients.
pub async fn selects(bench: &mut Bench<'_>, clients: usize) -> Outcome<()> {
    // Connecting counts as part of the time, and 200 clients take a while.
    let length = Length::Seconds(bench.options.seconds + u64::from(clients > 100));
    for mode in Mode::ALL {
        let load = Load { mode, clients, reconnect: false, script: select_only(), length };
        measure(bench, &select(mode, clients), &load).await?;
    }
    Ok(())
}

/// Transactions of seven statements that write.
pub async fn writes(bench: &mut Bench<'_>) -> Outcome<()> {
    for mode in [Mode::Simple, Mode::Prepared] {
        let script = vec!["-b".to_owned(), "tpcb-like".to_owned()];
        let load = Load { mode, clients: WRITERS, reconnect: false, script, length: seconds(bench) };
        measure(bench, &tpcb(mode), &load).await?;
    }
    Ok(())
}

/// A megabyte for each statement.
pub async fn large(bench: &mut Bench<'_>) -> Outcome<()> {
    let file = bench.folder.join("large.sql");
    std::fs::write(&file, format!("SELECT * FROM pgbench_accounts WHERE aid <= {ROWS};\n"))?;
    let script = vec!["-f".to_owned(), file.display().to_string()];
    let load = Load { mode: Mode::Simple, clients: FEW, reconnect: false, script, length: seconds(bench) };
    measure(bench, "large", &load).await
}

/// A connection for each transaction.
pub async fn storms(bench: &mut Bench<'_>) -> Outcome<()> {
    let load = Load {
        mode: Mode::Simple,
        clients: FEW,
        reconnect: true,
        script: select_only(),
        length: seconds(bench),
    };
    measure(bench, "storm", &load).await
}

/// Opens servers, fills caches.
pub async fn warm_up(bench: &Bench<'_>) -> Outcome<()> {
    for mode in [Mode::Simple, Mode::Prepared] {
        let load =
            Load { mode, clients: SOME, reconnect: false, script: select_only(), length: Length::Each(50) };
        for peer in bench.peers.iter().filter(|peer| can(peer, mode)) {
            run(bench, peer, &load).await.map_err(|error| format!("{}: {error}", peer.name))?;
        }
    }
    Ok(())
}

fn seconds(bench: &Bench<'_>) -> Length {
    Length::Seconds(bench.options.seconds)
}

/// pgbench's own select.
pub fn select_only() -> Vec<String> {
    vec!["-S".to_owned()]
}

/// Whether a peer knows this mode.
pub fn can(peer: &Peer, mode: Mode) -> bool {
    peer.prepares || mode != Mode::Prepared
}

/// One run through one peer.
pub async fn run(bench: &Bench<'_>, peer: &Peer, load: &Load) -> Outcome<Run> {
    pgbench::run(bench.cluster.install(), bench.folder, peer, load).await
}

async fn measure(bench: &mut Bench<'_>, case: &str, load: &Load) -> Outcome<()> {
    let mut peers: Vec<Peer> = bench.peers.iter().filter(|peer| can(peer, load.mode)).cloned().collect();
    for _ in 0..bench.rounds() {
        let mut failed = Vec::new();
        for peer in &peers {
            let before = peer.cpu_micros();
            let backends = bench.backends().await?;
            let server_before = used(&backends);
            let run = match run(bench, peer, load).await {
                Ok(run) => run,
                Err(error) => {
                    eprintln!("{case}, {}: {error}", peer.name);
                    failed.push(peer.name.clone());
                    continue;
                }
            };
            bench.samples.add(case, Metric::Rate, &peer.name, run.tps);
            bench.samples.add(case, Metric::P50, &peer.name, run.p50);
            bench.samples.add(case, Metric::P99, &peer.name, run.p99);
            if let (Some(before), Some(after)) = (before, peer.cpu_micros()) {
                bench.samples.add(case, Metric::Cpu, &peer.name, (after - before) / run.transactions);
            }
            if peer.is_pooler() {
                let server = (used(&backends) - server_before) / run.transactions;
                bench.samples.add(case, Metric::Server, &peer.name, server);
            }
        }
        // Who failed once is left out, so that the figures of a round stay together.
        peers.retain(|peer| !failed.contains(&peer.name));
        // The next round begins with another one.
        if !peers.is_empty() {
            peers.rotate_left(1);
        }
    }
    report::progress(bench, case);
    Ok(())
}
