//! `requests_per_second`: a request takes a turn before it begins, or waits for one.
//!
//! A request is a `Query`, a `FunctionCall`, or the extended messages up to their `Sync`; statements that the proxy
//! answers itself do not count. It counts for the tenant for which it is sent.

use std::sync::Arc;
use std::time::Duration;

use humantime_serde::re::humantime;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep};

use super::allowance::Allowance;
use super::standing::cancelled;
use super::{End, Session};
use crate::limits::{Budget, Kind, Three};
use crate::shared::tenancy::Tenancy;
use crate::sql::plan::Refusal;

impl<C> Session<C> {
    /// Whether the request at hand has its turn. Without a limit, this reads two flags.
    #[inline]
    pub(super) fn has_turn(&self, tenancy: &Tenancy) -> bool {
        !self.lacks_turn(tenancy) || self.take_turn(tenancy)
    }

    /// Whether it has none; it takes none.
    #[inline]
    pub(super) fn lacks_turn(&self, tenancy: &Tenancy) -> bool {
        let rated = self.allowance.is_rated() || tenancy.budget.is_rated();
        rated && !self.head.has_turn()
    }

    /// Takes a turn, if there is one now.
    #[cold]
    fn take_turn(&self, tenancy: &Tenancy) -> bool {
        let taken = self.allowance.budgets_with(tenancy).take_turn(self.clock.latest(), Duration::ZERO);
        self.head.note_turn(taken.is_ok());
        if let Err(budget) = taken {
            budget.hold_up(Kind::Rate);
            self.count_limit(Kind::Rate, budget.holder());
        }
        self.head.has_turn()
    }
}

/// A counted turn, which is given back unless the request begins.
struct Turn(Option<Three>);

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(budgets) = &self.0 {
            budgets.give_turn_back();
        }
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Waits for the turn of the message at the head of the buffer. Afterwards that message continues, or has been
    /// refused.
    pub(super) async fn await_turn(&mut self, tenancy: &Arc<Tenancy>) -> Result<(), End> {
        let now = Instant::now();
        self.entry.wait(Some(now));
        // The limits are those of the tenant of the message, which may differ from the session's.
        let allowance = Allowance::of(&self.identity.database, &self.identity.user.name, tenancy);
        let own = std::mem::replace(&mut self.allowance, allowance);
        let waited = self.wait_for_turn(tenancy, now).await?;
        self.allowance = own;
        self.entry.wait(None);
        if let Err(refusal) = waited {
            self.refuse_head(refusal);
            self.release().await?;
        } else {
            self.head.note_turn(true);
        }
        Ok(())
    }

    async fn wait_for_turn(&mut self, tenancy: &Tenancy, now: Instant) -> Result<Result<(), Refusal>, End> {
        let limit = self.allowance.times().query_wait_timeout;
        let patience = if limit.is_zero() { Duration::MAX } else { limit };
        let budgets = self.allowance.budgets_with(tenancy);
        let (turn, wait) = match budgets.take_turn(now, patience) {
            Ok(Duration::ZERO) => return Ok(Ok(())),
            Ok(wait) => (Ok(Turn(Some(budgets))), wait),
            // There will be no turn in time. The message still waits for the whole time, or its client would try again
            // at once.
            Err(budget) => (Err(budget), patience),
        };
        let _place = match self.queue() {
            Ok(place) => place,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let waited = self.wait_noticed(wait).await?;
        Ok(match (waited, turn) {
            (None, _) => Err(cancelled()),
            (Some(()), Ok(mut turn)) => {
                turn.0 = None;
                Ok(())
            }
            (Some(()), Err(budget)) => Err(too_many(&budget, patience)),
        })
    }

    /// Waits for this time. `None`: the request was cancelled.
    async fn wait_noticed(&mut self, time: Duration) -> Result<Option<()>, End> {
        let after = self.allowance.times().wait_notice;
        if after.is_zero() || after >= time {
            return self.hold(sleep(time)).await;
        }
        let Some(()) = self.hold(sleep(after)).await? else { return Ok(None) };
        self.notify_of_wait("its turn", after, "More requests are sent than may be in a second.");
        self.hold(sleep(time.saturating_sub(after))).await
    }
}

fn too_many(budget: &Budget, waited: Duration) -> Refusal {
    let waited = humantime::format_duration(waited);
    let (per_second, key) =
        budget.limit(Kind::Rate).map_or((0, Kind::Rate.as_str().into()), |limit| (limit.value, limit.key));
    Refusal {
        code: "53400",
        message: format!(
            "timed out after {waited} waiting for a turn: {} may send {per_second} requests in a second",
            budget.holder()
        ),
        hint: Some(format!("Send fewer requests, or raise {key}.")),
    }
}
