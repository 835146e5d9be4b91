//! COPY, out and in: how fast a table goes through.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use tokio::time::Instant;

use crate::bench::Bench;
use crate::ground::{DATABASE, TENANT, USER, client_program, connect};
use crate::peer::Peer;
use crate::samples::Metric;
use crate::{Outcome, report};

const MEGABYTE: f64 = 1e6;

/// Rates are in MB/s, processor time is for one MB.
pub async fn copy(bench: &mut Bench<'_>) -> Outcome<()> {
    let root = connect(&bench.cluster.superuser(DATABASE)).await?;
    let file = bench.folder.join("copied");
    let direct = Peer::new("", bench.cluster.port(), None);
    psql(bench, &direct, "COPY pgbench_accounts TO STDOUT", None, Some(&file)).await?;
    let size = std::fs::metadata(&file)?.len() as f64 / MEGABYTE;
    for (case, text) in
        [("copy out", "COPY pgbench_accounts TO STDOUT"), ("copy in", "COPY copied FROM STDIN")]
    {
        let from = (case == "copy in").then_some(file.as_path());
        let mut failed = Vec::new();
        for round in 0..bench.rounds() {
            let mut peers = bench.peers.clone();
            // Who failed once is left out, so that the figures of a round stay together.
            peers.retain(|peer| !failed.contains(&peer.name));
            let count = peers.len().max(1);
            peers.rotate_left(round % count);
            for peer in &peers {
                if from.is_some() {
                    root.batch_execute(&format!("TRUNCATE public.copied, {TENANT}.copied")).await?;
                }
                let before = peer.cpu_micros();
                let begun = Instant::now();
                if let Err(error) = psql(bench, peer, text, from, None).await {
                    eprintln!("{case}: {error}");
                    failed.push(peer.name.clone());
                    continue;
                }
                bench.samples.add(case, Metric::Rate, &peer.name, size / begun.elapsed().as_secs_f64());
                if let (Some(before), Some(after)) = (before, peer.cpu_micros()) {
                    bench.samples.add(case, Metric::Cpu, &peer.name, (after - before) / size);
                }
            }
        }
        report::progress(bench, case);
    }
    Ok(())
}

async fn psql(
    bench: &Bench<'_>,
    peer: &Peer,
    text: &str,
    from: Option<&Path>,
    to: Option<&Path>,
) -> Outcome<()> {
    let mut command = client_program(bench.cluster.install(), "psql");
    command.args(["-X", "-q", "-h", "127.0.0.1", "-U", USER, "-d", DATABASE, "-c", text]);
    command.args(["-p", &peer.port.to_string()]).env("PGOPTIONS", &peer.options);
    command.stdin(from.map(File::open).transpose()?.map_or_else(Stdio::null, Stdio::from));
    command.stdout(to.map(File::create).transpose()?.map_or_else(Stdio::null, Stdio::from));
    let output = command.stderr(Stdio::piped()).spawn()?.wait_with_output().await?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("{}: {text}: {}", peer.name, String::from_utf8_lossy(&output.stderr)).into()),
    }
}
