//! Where pgstrata is behind.

use std::fmt::Write;

use crate::bench::Bench;
use crate::cases::load;
use crate::peer::PGBOUNCER;
use crate::pgbench::Mode;
use crate::report::number;
use crate::samples::Metric;

/// What may be noise.
const MARGIN: f64 = 0.05;

/// Each case and metric in which one of ours is behind PgBouncer, as a list.
pub fn list(bench: &Bench<'_>) -> String {
    let mut cases: Vec<String> = load::CLIENTS
        .into_iter()
        .flat_map(|clients| Mode::ALL.map(|mode| load::select(mode, clients)))
        .collect();
    cases.extend(Mode::ALL.map(|mode| format!("calls {}", mode.as_str())));
    let others = ["tpcb simple", "tpcb prepared", "large", "copy out", "copy in", "storm"];
    cases.extend(others.map(str::to_owned));
    cases.extend([crate::cases::idle::FRESH, crate::cases::idle::USED].map(str::to_owned));
    let metrics = [
        (Metric::Rate, "throughput"),
        (Metric::P99, "99th percentile, ms"),
        (Metric::Cpu, "processor time, us"),
        (Metric::Calls, "system calls"),
        (Metric::Memory, "KiB for a client"),
    ];
    let mut out = String::new();
    for case in &cases {
        for (metric, what) in metrics {
            let behind: Vec<String> = bench
                .peers
                .iter()
                .filter(|peer| peer.is_ours())
                .filter_map(|peer| {
                    let ratio = bench.samples.ratio(case, metric, &peer.name, PGBOUNCER)?;
                    let is_behind = match metric {
                        Metric::Rate => ratio < 1.0 - MARGIN,
                        _ => ratio > 1.0 + MARGIN,
                    };
                    let figure = number(bench.samples.median(case, metric, &peer.name)?);
                    let name = peer.name.trim_start_matches("pgstrata, ");
                    is_behind.then(|| format!("{name} {figure} ({ratio:.2}x)"))
                })
                .collect();
            if !behind.is_empty() {
                let theirs = bench.samples.median(case, metric, PGBOUNCER).map(number).unwrap_or_default();
                let _ = writeln!(out, "- {case}, {what}: {}; PgBouncer {theirs}", behind.join(", "));
            }
        }
    }
    out
}
