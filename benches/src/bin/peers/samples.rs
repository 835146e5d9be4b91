//! What was measured, round by round, and what can be said about it.

use std::collections::BTreeMap;

/// One figure by case, metric and peer, with a value for each round.
#[derive(Debug, Default)]
pub struct Samples(BTreeMap<(String, Metric, String), Vec<f64>>);

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Transactions in a second, or whatever the case counts.
    Rate,
    /// The median time of a transaction, in milliseconds.
    P50,
    /// What one transaction of a hundred takes longer than, in milliseconds.
    P99,
    /// The proxy's own processor time for a transaction, in microseconds.
    Cpu,
    /// PostgreSQL's processor time for a transaction, in microseconds.
    Server,
    /// The proxy's own system calls for a transaction.
    Calls,
    /// Resident memory, in KiB.
    Memory,
    /// Round trips to PostgreSQL.
    Trips,
}

impl Samples {
    /// Adds a round's value.
    pub fn add(&mut self, case: &str, metric: Metric, peer: &str, value: f64) {
        self.0.entry((case.to_owned(), metric, peer.to_owned())).or_default().push(value);
    }

    /// The median of all rounds.
    pub fn median(&self, case: &str, metric: Metric, peer: &str) -> Option<f64> {
        median(self.of(case, metric, peer))
    }

    /// How far the rounds lie from the median at most, in proportion to it.
    pub fn spread(&self, case: &str, metric: Metric, peer: &str) -> Option<f64> {
        let middle = self.median(case, metric, peer)?;
        let distances = self.of(case, metric, peer).iter().map(|value| (value - middle).abs());
        Some(distances.fold(0.0, f64::max) / middle)
    }

    /// The median of the proportions to `other`, each of two figures of one round.
    pub fn ratio(&self, case: &str, metric: Metric, peer: &str, other: &str) -> Option<f64> {
        let pairs = self.of(case, metric, peer).iter().zip(self.of(case, metric, other));
        median(&pairs.map(|(value, other)| value / other).collect::<Vec<_>>())
    }

    /// Whether anybody has a value.
    pub fn has(&self, case: &str, metric: Metric) -> bool {
        self.0.keys().any(|(of, what, _)| of == case && *what == metric)
    }

    fn of(&self, case: &str, metric: Metric, peer: &str) -> &[f64] {
        self.0.get(&(case.to_owned(), metric, peer.to_owned())).map_or(&[], Vec::as_slice)
    }
}

/// None of no values.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.get(sorted.len() / 2)?;
    let lower = sorted.get(sorted.len().saturating_sub(1) / 2)?;
    Some(f64::midpoint(*lower, *upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_of_one_round() {
        let mut samples = Samples::default();
        // The second round had half of the machine, the third a quarter.
        for (ours, theirs) in [(1200.0, 1000.0), (550.0, 500.0), (325.0, 250.0)] {
            samples.add("case", Metric::Rate, "ours", ours);
            samples.add("case", Metric::Rate, "theirs", theirs);
        }
        assert_eq!(samples.ratio("case", Metric::Rate, "ours", "theirs"), Some(1.2));
        assert_eq!(samples.median("case", Metric::Rate, "theirs"), Some(500.0));
        assert_eq!(samples.spread("case", Metric::Rate, "theirs"), Some(1.0));
        assert_eq!(samples.ratio("case", Metric::Rate, "ours", "nobody"), None);
    }
}
