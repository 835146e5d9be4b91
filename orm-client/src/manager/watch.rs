//! Whether a statement was stopped because the query timeout ran out.

use std::time::{Duration, Instant};

use tokio_postgres::error::SqlState;

use crate::Error;
use crate::lease::Fault;

/// How much longer than the query timeout an answer is waited for: PostgreSQL is to stop a statement by itself, and to say so.
const GRACE: Duration = Duration::from_secs(1);

/// Watches a statement that is sent now.
pub(super) struct Watch {
    sent: Instant,
    timeout: Option<Duration>,
    grace: Duration,
}

/// Why a statement was not run, or not to its end.
pub(super) enum Stopped {
    Driver {
        source: Fault,
        timed_out: bool,
    },
    /// Nobody answers.
    Silent {
        after: Duration,
    },
    Other(Error),
}

impl Watch {
    /// `graceful`: the database stops a statement by itself, and says so.
    pub(super) fn new(timeout: Option<Duration>, graceful: bool) -> Self {
        let grace = if graceful { GRACE } else { Duration::ZERO };
        Self { sent: Instant::now(), timeout, grace }
    }

    /// The work's outcome; none if there is no answer in time, not even from a PostgreSQL that has stopped it.
    pub(super) async fn within<F: Future>(&self, work: F) -> Option<F::Output> {
        match self.timeout.and_then(|timeout| timeout.checked_add(self.grace)) {
            Some(deadline) => tokio::time::timeout(deadline, work).await.ok(),
            None => Some(work.await),
        }
    }

    pub(super) fn timed_out(&self) -> Stopped {
        Stopped::Silent { after: self.timeout.unwrap_or_default() }
    }

    pub(super) fn stopped(&self, source: Fault) -> Stopped {
        let timed_out = self.timeout.is_some_and(|timeout| has_run_out(timeout, self.sent.elapsed()));
        Stopped::Driver { source, timed_out }
    }
}

impl Stopped {
    pub(super) fn while_doing(self, doing: impl FnOnce() -> String) -> Error {
        match self {
            Self::Driver { source, timed_out } => source.while_doing(doing(), timed_out),
            Self::Silent { after } => Error::Timeout { doing: doing(), after },
            Self::Other(error) => error,
        }
    }

    /// A name means nothing: what it meant before may be something else by now.
    pub(super) fn is_about_names(&self) -> bool {
        let Self::Driver { source, .. } = self else { return false };
        let names = [
            SqlState::UNDEFINED_TABLE,
            SqlState::UNDEFINED_FUNCTION,
            SqlState::UNDEFINED_OBJECT,
            SqlState::UNDEFINED_COLUMN,
            SqlState::INVALID_SCHEMA_NAME,
        ];
        source.code().is_some_and(|code| names.contains(code))
    }
}

/// As PostgreSQL takes it.
pub(super) fn milliseconds(timeout: Duration) -> u64 {
    // 0 would be for ever.
    let most = i32::MAX.unsigned_abs();
    u32::try_from(timeout.as_millis()).unwrap_or(most).clamp(1, most).into()
}

/// PostgreSQL begins to count after us. Its machine's clock may be a little quicker than ours.
fn has_run_out(timeout: Duration, elapsed: Duration) -> bool {
    elapsed >= Duration::from_millis(milliseconds(timeout)).mul_f64(0.99)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeout_is_one_that_postgresql_takes() {
        for (timeout, milliseconds_of_it) in [
            (Duration::ZERO, 1),
            (Duration::from_micros(1999), 1),
            (Duration::from_secs(5), 5000),
            (Duration::from_secs(u64::from(u32::MAX)), 2_147_483_647),
            (Duration::MAX, 2_147_483_647),
        ] {
            assert_eq!(milliseconds(timeout), milliseconds_of_it, "{timeout:?}");
        }
    }

    #[test]
    fn timeout_has_run_out_as_postgresql_counts() {
        let timeout = Duration::from_micros(5900);
        assert!(has_run_out(timeout, Duration::from_millis(5)));
        assert!(!has_run_out(timeout, Duration::from_millis(4)));
        assert!(has_run_out(Duration::from_secs(5), Duration::from_millis(4990)));
    }
}
