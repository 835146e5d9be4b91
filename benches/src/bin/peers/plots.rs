//! The figures as pictures.

use pgstrata_benches::plot::Bars;

use crate::cases::{load, tenants, trips};
use crate::peer::Peer;
use crate::pgbench::Mode;
use crate::samples::{Metric, Samples};

/// A file's name, what it shows, and the picture. Those of cases that were not run are left out.
pub fn draw(samples: &Samples, peers: &[Peer]) -> Vec<(&'static str, Bars)> {
    let mut plots = vec![
        ("throughput", selects(samples, peers, Metric::Rate, "transactions in a second")),
        ("cpu", selects(samples, peers, Metric::Cpu, "us of the proxy for a transaction")),
        ("tenants", many_tenants(samples)),
        ("trips", distances(samples)),
    ];
    plots.retain(|(_, bars)| !bars.is_empty());
    plots
}

fn selects(samples: &Samples, peers: &[Peer], metric: Metric, axis: &str) -> Bars {
    let case = |mode| load::select(mode, load::SOME);
    // PostgreSQL itself has no proxy to measure.
    let has = |peer: &&Peer| {
        Mode::ALL.iter().any(|mode| samples.median(&case(*mode), metric, &peer.name).is_some())
    };
    let series: Vec<String> = peers.iter().filter(has).map(|peer| peer.name.clone()).collect();
    let group = |mode: Mode| {
        let values = series.iter().map(|name| samples.median(&case(mode), metric, name));
        (mode.as_str().to_owned(), values.collect())
    };
    Bars {
        title: "pgbench select-only, 32 clients".to_owned(),
        axis: axis.to_owned(),
        groups: Mode::ALL.map(group).to_vec(),
        series,
    }
}

fn many_tenants(samples: &Samples) -> Bars {
    let values = tenants::WAYS.map(|way| samples.median(tenants::CASE, Metric::Rate, way));
    Bars {
        title: "Reads of 1,000 tenants, 32 at a time".to_owned(),
        axis: "requests in a second".to_owned(),
        series: tenants::WAYS.map(str::to_owned).to_vec(),
        groups: vec![(String::new(), values.to_vec())],
    }
}

fn distances(samples: &Samples) -> Bars {
    let group = |latency| {
        let values = trips::WAYS.map(|way| samples.median(&trips::case(latency), Metric::P50, way));
        (format!("PostgreSQL {latency} ms away"), values.to_vec())
    };
    Bars {
        title: "One tenant's read, by the distance to PostgreSQL".to_owned(),
        axis: "ms".to_owned(),
        series: trips::WAYS.map(str::to_owned).to_vec(),
        groups: trips::LATENCIES.map(group).to_vec(),
    }
}
