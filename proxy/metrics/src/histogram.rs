//! Histograms that weigh the same however much they count: two additions for each value, no lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::text::Page;

/// Bounds of durations, in nanoseconds: 5 us to 100 s.
const NANOSECONDS: [u64; 19] = [
    5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000,
    25_000_000, 50_000_000, 100_000_000, 500_000_000, 1_000_000_000, 5_000_000_000, 30_000_000_000,
    100_000_000_000,
];

/// Bounds of counts.
const COUNTS: [u64; 7] = [1, 2, 3, 4, 5, 10, 100];

const PER_SECOND: f64 = 1e9;

/// Values by the bound that they are not above.
#[derive(Debug)]
struct Histogram<const BOUNDS: usize> {
    counts: [AtomicU64; BOUNDS],
    /// Above the last bound.
    beyond: AtomicU64,
    sum: AtomicU64,
}

impl<const BOUNDS: usize> Default for Histogram<BOUNDS> {
    fn default() -> Self {
        let counts = std::array::from_fn(|_| AtomicU64::default());
        Self { counts, beyond: AtomicU64::default(), sum: AtomicU64::default() }
    }
}

impl<const BOUNDS: usize> Histogram<BOUNDS> {
    fn record(&self, bounds: &[u64; BOUNDS], value: u64) {
        let place = bounds.partition_point(|bound| *bound < value);
        self.counts.get(place).unwrap_or(&self.beyond).fetch_add(1, Ordering::Relaxed);
        self.sum.fetch_add(value, Ordering::Relaxed);
    }

    fn count(&self) -> u64 {
        let counts = self.counts.iter().chain([&self.beyond]);
        counts.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// The bound that so many of so many values are not above; the last bound if they are above all.
    fn quantile(&self, bounds: &[u64; BOUNDS], part: u64, of: u64) -> u64 {
        let wanted = self.count().saturating_mul(part).div_ceil(of.max(1));
        let mut so_far = 0;
        let place = self.counts.iter().position(|count| {
            so_far += count.load(Ordering::Relaxed);
            so_far >= wanted
        });
        place.and_then(|place| bounds.get(place)).or(bounds.last()).copied().unwrap_or_default()
    }

    fn render(
        &self,
        page: &mut Page,
        name: &str,
        labels: &[(&str, &str)],
        bounds: &[u64; BOUNDS],
        per_unit: f64,
    ) {
        let bucket = format!("{name}_bucket");
        let mut so_far = 0;
        let mut put = |page: &mut Page, bound: &str, count: &AtomicU64| {
            so_far += count.load(Ordering::Relaxed);
            let labels: Vec<_> = labels.iter().copied().chain([("le", bound)]).collect();
            page.sample(&bucket, &labels, so_far);
            so_far
        };
        for (bound, count) in bounds.iter().zip(&self.counts) {
            put(page, &(*bound as f64 / per_unit).to_string(), count);
        }
        let all = put(page, "+Inf", &self.beyond);
        page.sample(&format!("{name}_sum"), labels, self.sum.load(Ordering::Relaxed) as f64 / per_unit);
        page.sample(&format!("{name}_count"), labels, all);
    }
}

/// A histogram of durations.
#[derive(Debug, Default)]
pub(crate) struct Durations(Histogram<{ NANOSECONDS.len() }>);

impl Durations {
    /// One more.
    pub(crate) fn record(&self, took: Duration) {
        self.0.record(&NANOSECONDS, nanoseconds(took));
    }

    /// All of them together, in nanoseconds.
    pub(crate) fn sum(&self) -> u64 {
        self.0.sum.load(Ordering::Relaxed)
    }

    /// How many they are.
    pub(crate) fn count(&self) -> u64 {
        self.0.count()
    }

    /// The bound, in nanoseconds, that `part` of `of` of them are not above; the last bound if they are above all.
    pub(crate) fn quantile(&self, part: u64, of: u64) -> u64 {
        self.0.quantile(&NANOSECONDS, part, of)
    }

    /// Its samples, in seconds.
    pub(crate) fn render(&self, page: &mut Page, name: &str, labels: &[(&str, &str)]) {
        self.0.render(page, name, labels, &NANOSECONDS, PER_SECOND);
    }
}

/// A histogram of small numbers.
#[derive(Debug, Default)]
pub(crate) struct Counts(Histogram<{ COUNTS.len() }>);

impl Counts {
    /// One more.
    pub(crate) fn record(&self, value: u64) {
        self.0.record(&COUNTS, value);
    }

    /// Its samples.
    pub(crate) fn render(&self, page: &mut Page, name: &str, labels: &[(&str, &str)]) {
        self.0.render(page, name, labels, &COUNTS, 1.0);
    }
}

/// A duration as it is summed up; those of centuries are cut off.
pub(super) fn nanoseconds(took: Duration) -> u64 {
    u64::try_from(took.as_nanos()).unwrap_or(u64::MAX)
}

/// A sum of nanoseconds in the unit that Prometheus wants.
pub(super) fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / PER_SECOND
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_counts_for_each_bound_that_it_is_not_above() {
        let counts = Counts::default();
        for value in [1, 1, 2, 7, 1000] {
            counts.record(value);
        }
        let mut page = Page::default();
        counts.render(&mut page, "x", &[("a", "b")]);
        let page = page.into_text();
        for line in [
            r#"x_bucket{a="b",le="1"} 2"#,
            r#"x_bucket{a="b",le="5"} 3"#,
            r#"x_bucket{a="b",le="10"} 4"#,
            r#"x_bucket{a="b",le="100"} 4"#,
            r#"x_bucket{a="b",le="+Inf"} 5"#,
            r#"x_sum{a="b"} 1011"#,
            r#"x_count{a="b"} 5"#,
        ] {
            assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
        }
    }

    #[test]
    fn quantile_is_the_bound_above_it() {
        let durations = Durations::default();
        for _ in 0..99 {
            durations.record(Duration::from_micros(20));
        }
        assert_eq!((durations.count(), durations.quantile(99, 100)), (99, 25_000));
        durations.record(Duration::from_secs(1000));
        assert_eq!((durations.quantile(99, 100), durations.quantile(1, 1)), (25_000, 100_000_000_000));
    }

    #[test]
    fn durations_are_told_in_seconds() {
        let durations = Durations::default();
        durations.record(Duration::from_micros(5));
        durations.record(Duration::from_millis(1500));
        let mut page = Page::default();
        durations.render(&mut page, "x", &[]);
        let page = page.into_text();
        for line in [
            r#"x_bucket{le="0.000005"} 1"#, r#"x_bucket{le="1"} 1"#, r#"x_bucket{le="5"} 2"#,
            "x_sum 1.500005", "x_count 2",
        ] {
            assert!(page.lines().any(|l| l == line), "{line} is not in\n{page}");
        }
    }
}
