//! Whether a statement was stopped because the query timeout ran out.

use std::time::{Duration, Instant};

use crate::Error;

/// Watches a statement that is sent now.
pub(super) struct Watch {
    sent: Instant,
    timeout: Option<Duration>,
}

/// Why a statement was not run, or not to its end.
pub(super) enum Stopped {
    Postgres { source: tokio_postgres::Error, timed_out: bool },
    Other(Error),
}

impl Watch {
    pub(super) fn new(timeout: Option<Duration>) -> Self {
        Self { sent: Instant::now(), timeout }
    }

    pub(super) fn stopped(&self, source: tokio_postgres::Error) -> Stopped {
        let timed_out = self.timeout.is_some_and(|timeout| has_run_out(timeout, self.sent.elapsed()));
        Stopped::Postgres { source, timed_out }
    }
}

impl Stopped {
    pub(super) fn while_doing(self, doing: impl FnOnce() -> String) -> Error {
        match self {
            Self::Postgres { source, timed_out } => Error::Postgres { doing: doing(), source, timed_out },
            Self::Other(error) => error,
        }
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
