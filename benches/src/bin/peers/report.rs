//! What was measured, as tables in Markdown.

use std::fmt::Write;

use crate::bench::Bench;
use crate::cases::{idle, load, tenants, trips};
use crate::peer::PGBOUNCER;
use crate::pgbench::Mode;
use crate::samples::{Metric, Samples};
use crate::{budgets, losses, machine};

/// A line on standard error, so that the user sees that it goes on.
pub fn progress(bench: &Bench<'_>, case: &str) {
    let mut line = format!("{case:24}");
    for (name, rate) in names(bench, case)
        .iter()
        .filter_map(|name| Some((name, bench.samples.median(case, Metric::Rate, name)?)))
    {
        let _ = write!(line, "  {} {}", short(name), number(rate));
    }
    eprintln!("{line}");
}

/// All of it.
pub async fn report(bench: &Bench<'_>) -> String {
    let samples = &bench.samples;
    let mut out = machine::describe(bench).await;
    let mut section = |title: &str, note: &str, table: String| {
        if !table.is_empty() {
            let note = if note.is_empty() { String::new() } else { format!("{note}\n\n") };
            let _ = write!(out, "\n\n### {title}\n\n{note}{}", table.trim_end());
        }
    };
    let peers: Vec<&str> = bench.peers.iter().map(|peer| peer.name.as_str()).collect();
    let selects: Vec<_> = load::CLIENTS
        .into_iter()
        .flat_map(|clients| Mode::ALL.map(|mode| load::select(mode, clients)))
        .collect();
    section("Budgets", "", budgets::table(samples));
    section("What we lose", LOSSES, losses::list(bench));
    section("Select-only: transactions in a second", RATES, rates(samples, &selects, &peers));
    section(
        "Select-only: the proxy's processor time for a transaction, in us",
        "In proportion to PgBouncer.",
        figures(samples, &selects, &peers, Metric::Cpu),
    );
    section(
        "Select-only: PostgreSQL's processor time for a transaction, in us",
        SERVERS,
        figures(samples, &selects, &peers, Metric::Server),
    );
    section(
        "Select-only: latency in ms, median and 99th percentile",
        "",
        latencies(samples, &selects, &peers),
    );
    let calls: Vec<_> = Mode::ALL.map(|mode| format!("calls {}", mode.as_str())).to_vec();
    let counted = bench.counter.map_or(String::new(), |counter| format!("By `{}`.", counter.as_str()));
    section(
        "Select-only, 32 clients: system calls for a transaction",
        &counted,
        figures(samples, &calls, &peers, Metric::Calls),
    );
    let others = ["tpcb simple", "tpcb prepared", "large", "copy out", "copy in", "storm"].map(str::to_owned);
    section("Other loads", OTHERS, rates(samples, &others, &peers));
    section(
        "Other loads: the proxy's processor time, in us",
        "For a transaction; of COPY, for a megabyte. In proportion to PgBouncer.",
        figures(samples, &others, &peers, Metric::Cpu),
    );
    section("Idle clients", IDLE, idle_table(samples, &peers));
    section("1,000 tenants", TENANTS, tenants_table(samples));
    section("A tenant's read, by the distance to PostgreSQL", TRIPS, trips_table(samples));
    out.push('\n');
    out
}

const RATES: &str = "Median of the rounds, how far they lie from it at most, and the proportion to PgBouncer in the same round.";
const SERVERS: &str = "Of its processes that serve the pooler. In proportion to PgBouncer, which reads `public` and sets no path.";
const LOSSES: &str = "Where pgstrata is behind PgBouncer by more than 5%.";
const OTHERS: &str = "`tpcb`: transactions in a second, 16 clients. `large`: results of 1 MB in a second, 8 clients. `copy`: MB/s through psql. \
     `storm`: a connection for each transaction, 8 clients at a time.";
const IDLE: &str = "Growth of the process for each client, in KiB: 5,000 clients of each pooler, 1,000 of each relay. What the kernel keeps for a socket is not in it.";
const TENANTS: &str = "A client for each tenant, 32 of them asking at a time; 20 servers if not said otherwise. In proportion to the first line. \
     What did not come about had not let everybody in after 20 seconds.";
const TRIPS: &str = "Round trips, and milliseconds for one read (median of 20). A TCP handshake is no round trip here, but would be one in a network.";

/// Median, spread and the proportion to PgBouncer.
fn rates(samples: &Samples, cases: &[String], peers: &[&str]) -> String {
    table(samples, cases, peers, Metric::Rate, |case, peer| {
        let rate = samples.median(case, Metric::Rate, peer)?;
        let spread = samples.spread(case, Metric::Rate, peer)? * 100.0;
        let mut cell = format!("{} ±{spread:.0}%", number(rate));
        if let Some(ratio) = samples.ratio(case, Metric::Rate, peer, PGBOUNCER) {
            let _ = write!(cell, ", {ratio:.2}x");
        }
        Some(cell)
    })
}

fn figures(samples: &Samples, cases: &[String], peers: &[&str], metric: Metric) -> String {
    table(samples, cases, peers, metric, |case, peer| {
        let figure = number(samples.median(case, metric, peer)?);
        Some(match samples.ratio(case, metric, peer, PGBOUNCER) {
            Some(ratio) => format!("{figure}, {ratio:.2}x"),
            None => figure,
        })
    })
}

fn latencies(samples: &Samples, cases: &[String], peers: &[&str]) -> String {
    table(samples, cases, peers, Metric::P50, |case, peer| {
        let [p50, p99] = [Metric::P50, Metric::P99].map(|metric| samples.median(case, metric, peer));
        Some(format!("{:.2}, {:.2}", p50?, p99?))
    })
}

/// A line for each case that was run, a column for each peer that has a figure.
fn table(
    samples: &Samples,
    cases: &[String],
    peers: &[&str],
    metric: Metric,
    cell: impl Fn(&str, &str) -> Option<String>,
) -> String {
    let cases: Vec<_> = cases.iter().filter(|case| samples.has(case, metric)).collect();
    let has = |peer: &&&str| cases.iter().any(|case| samples.median(case, metric, peer).is_some());
    let peers: Vec<_> = peers.iter().filter(has).collect();
    if cases.is_empty() {
        return String::new();
    }
    let mut out = "| |".to_owned();
    for peer in &peers {
        let _ = write!(out, " {peer} |");
    }
    let _ = write!(out, "\n| --- |{}", " --- |".repeat(peers.len()));
    for case in cases {
        let title = case.trim_start_matches("select ").trim_start_matches("calls ");
        let _ = write!(out, "\n| {title} |");
        for peer in &peers {
            let _ = write!(out, " {} |", cell(case, peer).as_deref().unwrap_or("can't"));
        }
    }
    out
}

fn idle_table(samples: &Samples, peers: &[&str]) -> String {
    let cases = [idle::FRESH, idle::USED].map(str::to_owned);
    table(samples, &cases, peers, Metric::Memory, |case, peer| {
        Some(format!("{:.1}", samples.median(case, Metric::Memory, peer)?))
    })
    .replace(idle::FRESH, "logged in")
    .replace(idle::USED, "after a query")
}

fn tenants_table(samples: &Samples) -> String {
    let mut out = String::new();
    for way in tenants::WAYS {
        let of = |metric| samples.median(tenants::CASE, metric, way);
        let Some(rate) = of(Metric::Rate) else {
            let _ = write!(out, "\n| {way} | did not come about | | | | |");
            continue;
        };
        let [p50, p99, cpu, server, memory] =
            [Metric::P50, Metric::P99, Metric::Cpu, Metric::Server, Metric::Memory]
                .map(|metric| of(metric).unwrap_or(f64::NAN));
        let ratio = samples.ratio(tenants::CASE, Metric::Rate, way, tenants::FOUR_MESSAGES);
        let ratio = ratio.map_or(String::new(), |ratio| format!(", {ratio:.2}x"));
        let _ = write!(
            out,
            "\n| {way} | {}{ratio} | {p50:.2}, {p99:.2} | {} | {} | {:.0} |",
            number(rate),
            number(cpu),
            number(server),
            memory / 1024.0
        );
    }
    if !samples.has(tenants::CASE, Metric::Rate) {
        return String::new();
    }
    let head = "| way | requests in a second | ms, median and 99th percentile | proxy's us for a request | PostgreSQL's us | more memory of PostgreSQL, MiB |\n\
                | --- | --- | --- | --- | --- | --- |";
    format!("{head}{out}")
}

fn trips_table(samples: &Samples) -> String {
    if !samples.has(&trips::case(0), Metric::Trips) {
        return String::new();
    }
    let mut out = "| way | round trips |".to_owned();
    for latency in trips::LATENCIES {
        let _ = write!(out, " {latency} ms away |");
    }
    let _ = write!(out, "\n| --- | --- |{}", " --- |".repeat(trips::LATENCIES.len()));
    for way in trips::WAYS {
        let Some(count) = samples.median(&trips::case(0), Metric::Trips, way) else { continue };
        let _ = write!(out, "\n| {way} | {count:.0} |");
        for latency in trips::LATENCIES {
            let time = samples.median(&trips::case(latency), Metric::P50, way).unwrap_or(f64::NAN);
            let _ = write!(out, " {time:.2} ms |");
        }
    }
    out
}

/// Who takes part in a case.
fn names(bench: &Bench<'_>, case: &str) -> Vec<String> {
    match case {
        tenants::CASE => tenants::WAYS.map(str::to_owned).to_vec(),
        _ => bench.peers.iter().map(|peer| peer.name.clone()).collect(),
    }
}

fn short(name: &str) -> &str {
    name.trim_start_matches("pgstrata, ").trim_start_matches("PgBouncer, ")
}

/// As many digits as mean something: `20,765`, `103`, `19.3`.
pub fn number(value: f64) -> String {
    if value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_few_digits() {
        let numbers = [19.31, 103.4, 20_765.2, 1_234_567.0].map(number);
        assert_eq!(numbers, ["19.3", "103", "20,765", "1,234,567"]);
    }
}
