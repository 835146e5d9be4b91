//! What a client costs that does nothing.

use std::time::Duration;

use pgstrata_tenancy::Strategy;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::Outcome;
use crate::bench::Bench;
use crate::peer::Peer;
use crate::samples::Metric;
use crate::start::Entries;
use crate::wire::Client;

/// Clients of a pooler.
pub const CLIENTS: usize = 5000;
/// Clients of a relay, which needs a server for each.
pub const RELAYED: usize = 1000;
/// Logging in at once.
const AT_ONCE: usize = 64;

/// Clients that have only logged in.
pub const FRESH: &str = "idle fresh";
/// The same, after a query each.
pub const USED: &str = "idle used";

/// KiB for each client: what the process has grown by. Each process is a new one.
pub async fn idle(bench: &mut Bench<'_>) -> Outcome<()> {
    let starter = bench.starter();
    let count = if bench.options.quick { RELAYED } else { CLIENTS };
    let mut peers = Vec::new();
    for relay in starter.relays().await? {
        peers.push((relay, RELAYED.min(count)));
    }
    if let Some(peer) = starter.pgbouncer(starter.server(), Entries::One).await? {
        peers.push((peer, count));
    }
    for strategy in [Strategy::SearchPath, Strategy::SchemaQualified] {
        peers.push((starter.pgstrata(strategy, starter.server()).await?, count));
    }
    for (peer, count) in peers {
        let Some(process) = &peer.process else { continue };
        // The first client makes what all have in common.
        login(&peer, 1).await?;
        let before = process.resident()?;
        let clients = login(&peer, count).await?;
        sleep(Duration::from_millis(500)).await;
        let fresh = (process.resident()? - before) / count as f64;
        let clients = use_each(clients).await?;
        sleep(Duration::from_millis(500)).await;
        let used = (process.resident()? - before) / count as f64;
        bench.samples.add(FRESH, Metric::Memory, &peer.name, fresh);
        bench.samples.add(USED, Metric::Memory, &peer.name, used);
        eprintln!("{:24}  {} {fresh:.1} KiB, {used:.1} KiB after a query", "idle", peer.name);
        drop(clients);
    }
    Ok(())
}

async fn login(peer: &Peer, count: usize) -> Outcome<Vec<Client>> {
    let (mut tasks, mut clients) = (JoinSet::new(), Vec::new());
    for _ in 0..count {
        if tasks.len() == AT_ONCE
            && let Some(client) = tasks.join_next().await
        {
            clients.push(client??);
        }
        let (port, options) = (peer.port, peer.options.clone());
        tasks.spawn(async move { Client::app(port, &options).await });
    }
    while let Some(client) = tasks.join_next().await {
        clients.push(client??);
    }
    Ok(clients)
}

async fn use_each(mut clients: Vec<Client>) -> Outcome<Vec<Client>> {
    for client in &mut clients {
        client.query("SELECT abalance FROM pgbench_accounts WHERE aid = 1").await?;
    }
    Ok(clients)
}
