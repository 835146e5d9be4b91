//! pgbench: how it is called, and what it says.

use std::path::Path;
use std::process::Stdio;

use pgstrata::demo::find::Install;
use tokio::process::Command;

use crate::Outcome;
use crate::ground::{DATABASE, USER, client_program};
use crate::peer::Peer;

/// How statements are sent: pgbench's `-M`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A `Query` each.
    Simple,
    /// Parse, bind and execute each time.
    Extended,
    /// Parsed once, by name.
    Prepared,
}

impl Mode {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Simple, Self::Extended, Self::Prepared];

    /// As pgbench calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Extended => "extended",
            Self::Prepared => "prepared",
        }
    }
}

/// What is run.
#[derive(Clone, Debug)]
pub struct Load {
    /// How statements are sent.
    pub mode: Mode,
    /// Clients at once.
    pub clients: usize,
    /// A connection for each transaction.
    pub reconnect: bool,
    /// `-S` and the like, or `-f` and a file.
    pub script: Vec<String>,
    /// When it ends.
    pub length: Length,
}

/// How much is run.
#[derive(Clone, Copy, Debug)]
pub enum Length {
    /// For so many seconds, the time that connecting takes included.
    Seconds(u64),
    /// So many transactions of each client.
    Each(u64),
}

/// What one run says.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Transactions in a second, without the time that connecting took (unless each connects).
    pub tps: f64,
    /// Transactions in all.
    pub transactions: f64,
    /// The median, in milliseconds.
    pub p50: f64,
    /// One of a hundred took longer, in milliseconds.
    pub p99: f64,
}

/// pgbench of this installation, or the system's.
pub fn program(install: &Install) -> Command {
    client_program(install, "pgbench")
}

/// Runs a command to its end, and gives what it said; what it complained of is the error.
pub async fn finish(mut command: Command) -> Outcome<String> {
    let output = command.kill_on_drop(true).stdin(Stdio::null()).output().await?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaint = String::from_utf8_lossy(&output.stderr);
    let line = complaint.lines().find(|line| line.contains("ERROR") || line.contains("error:"));
    let line = line.or(complaint.lines().last()).unwrap_or("it gave no reason");
    Err(format!("{}: {line}", output.status).into())
}

/// Runs `load` through `peer`; the log of each transaction goes to `folder` for a moment.
pub async fn run(install: &Install, folder: &Path, peer: &Peer, load: &Load) -> Outcome<Run> {
    let logs = tempfile::tempdir_in(folder)?;
    let mut command = program(install);
    let threads = load.clients.min(2);
    command.args(["-n", "-h", "127.0.0.1", "-U", USER, "-M", load.mode.as_str()]);
    let (flag, count) = match load.length {
        Length::Seconds(count) => ("-T", count),
        Length::Each(count) => ("-t", count),
    };
    command.args(["-p", &peer.port.to_string(), flag, &count.to_string()]);
    command.args(["-c", &load.clients.to_string(), "-j", &threads.to_string()]);
    command.args(&load.script).arg("-l").arg("--log-prefix").arg(logs.path().join("log"));
    if load.reconnect {
        command.arg("-C");
    }
    command.arg(DATABASE).env("PGOPTIONS", &peer.options);
    let said = finish(command).await?;
    let (tps, transactions) = figures(&said).ok_or_else(|| format!("pgbench said: {said}"))?;
    let mut times = Vec::new();
    for entry in std::fs::read_dir(logs.path())? {
        times.extend(latencies(&std::fs::read_to_string(entry?.path())?));
    }
    times.sort_unstable();
    let [p50, p99] = [50, 99].map(|percent| percentile(&times, percent));
    Ok(Run { tps, transactions, p50, p99 })
}

/// Transactions in a second, and in all. A client that failed makes the run none.
fn figures(said: &str) -> Option<(f64, f64)> {
    let after = |start: &str| said.lines().find_map(|line| line.strip_prefix(start));
    let first = |text: &str| text.split([' ', '/']).next()?.parse().ok();
    let tps = first(after("tps = ")?)?;
    Some((tps, first(after("number of transactions actually processed: ")?)?))
}

/// The third field of each line: microseconds.
fn latencies(log: &str) -> impl Iterator<Item = u64> {
    log.lines().filter_map(|line| line.split(' ').nth(2)?.parse().ok())
}

/// In milliseconds, of microseconds in order.
fn percentile(sorted: &[u64], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(f64::NAN, |micros| *micros as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_read() {
        let said = "transaction type: <builtin: select only>\nnumber of transactions actually processed: 20017\n\
                    latency average = 1.598 ms\ntps = 20029.310187 (without initial connection time)\n";
        assert_eq!(figures(said), Some((20029.310187, 20017.0)));
        assert_eq!(figures("pgbench: fatal: Run was aborted\n"), None);
    }

    #[test]
    fn percentiles_come_from_the_log() {
        let log: String = (1..=200).map(|n| format!("0 {n} {} 0 1764113000 12\n", n * 10)).collect();
        let mut times: Vec<u64> = latencies(&log).collect();
        times.sort_unstable();
        assert_eq!((percentile(&times, 50), percentile(&times, 99)), (1.01, 1.99));
        assert!(percentile(&[], 50).is_nan());
    }
}
