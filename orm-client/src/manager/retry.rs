//! Transactions that are tried again.

use std::time::Duration;

use super::modes::TransactionOptions;
use super::session::Session;
use super::transaction::Transaction;
use crate::Error;

/// How often a transaction is tried, and how long is waited in between: each time twice as long, and in part by chance, so that two which got
/// in each other's way do not do so again.
///
/// ```
/// use std::time::Duration;
/// use pgstrata_orm::Retry;
///
/// let patient = Retry::new(10).first_pause(Duration::from_millis(20));
/// # assert_eq!(format!("{patient:?}"), "Retry { tries: 10, pause: 20ms }");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    tries: u32,
    pause: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self::new(5)
    }
}

impl Retry {
    /// So often at most, the first time among them.
    ///
    /// ```
    /// # use pgstrata_orm::Retry;
    /// assert_eq!(Retry::default(), Retry::new(5));
    /// ```
    pub const fn new(tries: u32) -> Self {
        Self { tries, pause: Duration::from_millis(5) }
    }

    /// How long is waited at most before the second time: 5 ms, if nothing is said.
    ///
    /// ```
    /// # use pgstrata_orm::Retry;
    /// let quick = Retry::new(3).first_pause(std::time::Duration::ZERO);
    /// ```
    #[must_use]
    pub const fn first_pause(mut self, pause: Duration) -> Self {
        self.pause = pause;
        self
    }

    /// How long to wait behind the try with this number, from 1. Chance is the clock's.
    fn pause(self, number: u32) -> Duration {
        let most = self.pause.saturating_mul(1 << (number - 1).min(10));
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        most.mul_f64(0.5 + f64::from(now.subsec_nanos() % 1000) / 2000.0)
    }
}

impl Session {
    /// As [`Session::transaction_with`], and again from its beginning where PostgreSQL has given it up for another one's sake:
    /// [`Error::is_retryable`]. What else the code does is done again, too.
    ///
    /// ```no_run
    /// # use pgstrata_orm::{Entity, EntityManager, Error};
    /// use pgstrata_orm::{IsolationLevel, Retry, TransactionOptions};
    ///
    /// # async fn example<Booking: Entity>(em: EntityManager, booking: Booking) -> Result<(), Error> {
    /// let serializable = TransactionOptions::new().isolation_level(IsolationLevel::Serializable);
    /// let booked: Option<Booking> = em
    ///     .retry_transaction(Retry::default(), serializable, async |tx| match tx.count::<Booking>().await? {
    ///         0..100 => tx.save(&booking).await.map(Some),
    ///         _ => Ok(None),
    ///     })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As of [`Session::transaction`], of the last try.
    pub async fn retry_transaction<T, F>(
        &self,
        retry: Retry,
        options: TransactionOptions,
        code: F,
    ) -> Result<T, Error>
    where
        F: AsyncFn(&Transaction) -> Result<T, Error>,
    {
        let mut number = 1;
        loop {
            match self.transaction_with(options, async |tx| code(tx).await).await {
                Err(error) if error.is_retryable() && number < retry.tries => {
                    tokio::time::sleep(retry.pause(number)).await;
                    number += 1;
                }
                outcome => return outcome,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_within_bounds() {
        let retry = Retry::new(5);
        for (number, most) in [(1, 5), (2, 10), (3, 20), (100, 5 * 1024)] {
            let pause = retry.pause(number);
            assert!(
                pause <= Duration::from_millis(most) && pause >= Duration::from_millis(most) / 2,
                "{pause:?}"
            );
        }
    }
}
