//! SHOW STATS, STATS_TOTALS, STATS_AVERAGES, TOTALS.
//!
//! Averages are of the last minute or two, as PgBouncer has them: by second, and for times by what took them.

use super::{Shown, View, databases, numeric, text};
use crate::admin::console::table::Row;
use crate::clients::counts::{Count, Counts, Sums};

const MICROS_PER_SECOND: u64 = 1_000_000;

/// The counts in the order of the columns; for a time, what it is divided by.
const SHOWN: [(Count, Option<Count>); 12] = [
    (Counts::ASSIGNMENTS, None),
    (Counts::TRANSACTIONS, None),
    (Counts::QUERIES, None),
    (Counts::RECEIVED, None),
    (Counts::SENT, None),
    (Counts::TRANSACTION_TIME, Some(Counts::TRANSACTIONS)),
    (Counts::QUERY_TIME, Some(Counts::QUERIES)),
    (Counts::WAIT_TIME, Some(Counts::ASSIGNMENTS)),
    (Counts::CLIENT_PARSES, None),
    (Counts::SERVER_PARSES, None),
    (Counts::BINDS, None),
    (Counts::LOGINS, None),
];

pub(super) const STATS: Shown = Shown::new(
    "STATS",
    "each database: counts since the start, and averages",
    &[
        text("database"),
        numeric("total_server_assignment_count"),
        numeric("total_xact_count"),
        numeric("total_query_count"),
        numeric("total_received"),
        numeric("total_sent"),
        numeric("total_xact_time"),
        numeric("total_query_time"),
        numeric("total_wait_time"),
        numeric("total_client_parse_count"),
        numeric("total_server_parse_count"),
        numeric("total_bind_count"),
        numeric("total_client_login_count"),
        numeric("avg_server_assignment_count"),
        numeric("avg_xact_count"),
        numeric("avg_query_count"),
        numeric("avg_recv"),
        numeric("avg_sent"),
        numeric("avg_xact_time"),
        numeric("avg_query_time"),
        numeric("avg_wait_time"),
        numeric("avg_client_parse_count"),
        numeric("avg_server_parse_count"),
        numeric("avg_bind_count"),
        numeric("avg_client_login_count"),
    ],
    |shared, _| rows(shared, |stats| stats.totals().into_iter().chain(stats.averages()).collect()),
);

pub(super) const STATS_TOTALS: Shown = Shown::new(
    "STATS_TOTALS",
    "each database: counts since the start",
    &[
        text("database"),
        numeric("server_assignment_count"),
        numeric("xact_count"),
        numeric("query_count"),
        numeric("bytes_received"),
        numeric("bytes_sent"),
        numeric("xact_time"),
        numeric("query_time"),
        numeric("wait_time"),
        numeric("client_parse_count"),
        numeric("server_parse_count"),
        numeric("bind_count"),
        numeric("client_login_count"),
    ],
    |shared, _| rows(shared, Stats::totals),
);

pub(super) const STATS_AVERAGES: Shown = Shown::new(
    "STATS_AVERAGES",
    "each database: averages of the last minute or two",
    &[
        text("database"),
        numeric("server_assignment_count"),
        numeric("xact_count"),
        numeric("query_count"),
        numeric("bytes_received"),
        numeric("bytes_sent"),
        numeric("xact_time"),
        numeric("query_time"),
        numeric("wait_time"),
        numeric("avg_client_parse_count"),
        numeric("avg_server_parse_count"),
        numeric("avg_bind_count"),
        numeric("avg_client_login_count"),
    ],
    |shared, _| rows(shared, Stats::averages),
);

pub(super) const TOTALS: Shown = Shown::new(
    "TOTALS",
    "the same, all databases together",
    &[text("name"), numeric("value")],
    |shared, _| {
        let mut all = Stats::default();
        for (name, _) in databases(shared) {
            all.add(&Stats::of(shared, name));
        }
        let values = all.totals().into_iter().chain(all.averages());
        NAMES.iter().zip(values).map(|(name, value)| vec![(*name).into(), value.into()]).collect()
    },
);

/// As PgBouncer calls them in SHOW TOTALS.
const NAMES: [&str; 24] = [
    "total_server_assignment_count",
    "total_xact_count",
    "total_query_count",
    "total_client_bytes",
    "total_server_bytes",
    "total_xact_time",
    "total_query_time",
    "total_wait_time",
    "total_ps_client_parse_count",
    "total_ps_server_parse_count",
    "total_ps_bind_count",
    "total_client_login_count",
    "avg_server_assignment_count",
    "avg_xact_count",
    "avg_query_count",
    "avg_client_bytes",
    "avg_server_bytes",
    "avg_xact_time",
    "avg_query_time",
    "avg_wait_time",
    "avg_ps_client_parse_count",
    "avg_ps_server_parse_count",
    "avg_ps_bind_count",
    "avg_client_login_count",
];

/// What was counted in all, and a while ago.
#[derive(Default)]
struct Stats {
    now: Sums,
    before: Sums,
    /// How long ago that was, in microseconds.
    passed: u64,
}

impl Stats {
    fn of(shared: &View<'_>, database: &str) -> Self {
        let (before, passed) = shared.clients.before(database);
        Self { now: shared.clients.sums(database), before, passed }
    }

    fn add(&mut self, other: &Self) {
        self.now.add(&other.now);
        self.before.add(&other.before);
        self.passed = self.passed.max(other.passed);
    }

    fn totals(&self) -> Vec<u64> {
        SHOWN.iter().map(|(count, _)| self.now.of(*count)).collect()
    }

    fn averages(&self) -> Vec<u64> {
        let news = self.now.since(&self.before);
        let average = |(count, of): &(Count, Option<Count>)| match of {
            Some(of) => news.of(*count).checked_div(news.of(*of)).unwrap_or_default(),
            None => {
                let by_second = u128::from(news.of(*count)) * u128::from(MICROS_PER_SECOND);
                u64::try_from(by_second / u128::from(self.passed.max(1))).unwrap_or(u64::MAX)
            }
        };
        SHOWN.iter().map(average).collect()
    }
}

fn rows(shared: &View<'_>, values: impl Fn(&Stats) -> Vec<u64>) -> Vec<Row> {
    let row = |name: &str| {
        let values = values(&Stats::of(shared, name));
        std::iter::once(name.into()).chain(values.into_iter().map(Into::into)).collect()
    };
    databases(shared).into_iter().map(|(name, _)| row(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_averaged_by_second_and_times_by_what_took_them() {
        let counts = Counts::default();
        counts.add(Counts::QUERIES, 10);
        counts.add(Counts::QUERY_TIME, 5_000);
        let before = counts.sums();
        counts.add(Counts::QUERIES, 20);
        counts.add(Counts::QUERY_TIME, 60_000);
        let stats = Stats { now: counts.sums(), before, passed: 10 * MICROS_PER_SECOND };
        let at = |count| SHOWN.iter().position(|(shown, _)| *shown == count).unwrap();
        let averages = stats.averages();
        assert_eq!((averages[at(Counts::QUERIES)], averages[at(Counts::QUERY_TIME)]), (2, 3_000));
        assert_eq!(averages[at(Counts::WAIT_TIME)], 0);
        assert_eq!(stats.totals()[at(Counts::QUERIES)], 30);
    }
}
