//! Earlier values of the counters, so that averages are of the last one or two minutes.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use super::Origin;
use super::counts::Sums;

/// The length of a period.
const PERIOD: Duration = Duration::from_secs(60);

/// The counters of all databases.
type All = HashMap<Box<str>, Sums>;

/// The counters at the beginning of this period and of the previous one. Averages are over both, so that they never
/// cover a few moments only.
pub(super) struct Period {
    origin: Origin,
    /// With their time, in microseconds.
    older: (u64, All),
    newer: (u64, All),
}

impl Period {
    pub(super) fn new(origin: Origin) -> Self {
        let zero = || (origin.micros(Instant::now()), All::new());
        Self { origin, older: zero(), newer: zero() }
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.passed(self.newer.0, now) >= PERIOD.as_micros() as u64
    }

    pub(super) fn begin(&mut self, now: Instant, sums: All) {
        let now = self.origin.micros(now);
        self.older = std::mem::replace(&mut self.newer, (now, sums));
    }

    /// The older counters of a database, and their age in microseconds, at least 1.
    pub(super) fn before(&self, database: &str) -> (Sums, u64) {
        let (at, sums) = &self.older;
        (sums.get(database).copied().unwrap_or_default(), self.passed(*at, Instant::now()).max(1))
    }

    fn passed(&self, since: u64, now: Instant) -> u64 {
        self.origin.micros(now).saturating_sub(since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::counts::Counts;

    #[test]
    fn averages_are_of_the_period_before_and_of_this_one() {
        let origin = Origin::now();
        let mut period = Period::new(origin);
        let start = Instant::now();
        let counts = Counts::default();
        let sums = |counts: &Counts| All::from([("app".into(), counts.sums())]);
        assert!(!period.is_over(start) && period.is_over(start + PERIOD));
        counts.add(Counts::QUERIES, 10);
        period.begin(start + PERIOD, sums(&counts));
        assert_eq!(period.before("app").0.of(Counts::QUERIES), 0);
        counts.add(Counts::QUERIES, 10);
        period.begin(start + 2 * PERIOD, sums(&counts));
        assert_eq!(period.before("app").0.of(Counts::QUERIES), 10);
        assert_eq!(period.before("other").0, Sums::default());
    }
}
