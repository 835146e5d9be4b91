//! Closes clients that exceed a time limit, so that no server is held for ever.
//!
//! The limits are the proxy's, and no client can set them; PostgreSQL's own time-outs apply as well. A limit counts
//! from the event itself, not from the next check. For an idle client, each byte restarts the time.

use std::time::Duration;

use humantime_serde::re::humantime;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio::time::timeout;

use super::allowance::Allowance;
use super::link::Link;
use super::{End, Session, Status};
use crate::config::{Config, Time};

/// The exceeded limit.
#[derive(Clone, Copy)]
enum Over {
    Query,
    Transaction,
    IdleTransaction,
    Client,
    Message,
}

impl Over {
    /// The limit of the budgets; `None`: a limit of the whole proxy.
    fn limit(self) -> Option<Time> {
        Some(match self {
            Over::Query => |table| table.query_timeout.as_ref(),
            Over::Transaction => |table| table.transaction_timeout.as_ref(),
            Over::IdleTransaction => |table| table.idle_transaction_timeout.as_ref(),
            Over::Client => |table| table.client_idle_timeout.as_ref(),
            Over::Message => return None,
        })
    }

    /// The FATAL error: PostgreSQL's message, if PostgreSQL has such a limit, and the owner of the limit.
    fn end(self, allowance: &Allowance, config: &Config) -> End {
        let (code, message) = match self {
            Over::Query => ("57014", "terminating connection: a request took longer than query_timeout"),
            Over::Transaction => ("25P04", "terminating connection due to transaction timeout"),
            Over::IdleTransaction => ("25P03", "terminating connection due to idle-in-transaction timeout"),
            Over::Client => ("57P05", "terminating connection due to idle-session timeout"),
            Over::Message => ("57P05", "terminating connection: a message did not come to its end"),
        };
        let limit = match self.limit() {
            Some(limit) => allowance.in_words(limit),
            None => {
                let limit = humantime::format_duration(config.limits.message_timeout);
                format!("limits.message_timeout is {limit}")
            }
        };
        let last_words = format!("{message}: {limit}");
        End::fatal(code, last_words)
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// [`Session::exchange`], up to the time limits.
    pub(super) async fn exchange_in_time(&mut self) -> Result<(), End> {
        self.settle_allowance();
        let Some((left, over)) = self.time_left() else { return self.exchange().await };
        match timeout(left, self.exchange()).await {
            Ok(moved) => moved,
            Err(_) => Err(over.end(&self.allowance, &self.config)),
        }
    }

    /// The time that is left, and the limit that is exceeded then.
    fn time_left(&self) -> Option<(Duration, Over)> {
        // While PostgreSQL runs a request, the next message need not be complete.
        let message = self.framing.since().filter(|_| !self.is_awaiting()).and_then(|since| {
            let limit = set(self.config.limits.message_timeout)?;
            Some((limit.saturating_sub(since.elapsed()), Over::Message))
        });
        message.into_iter().chain(self.time_of_use()).min_by_key(|(left, _)| *left)
    }

    /// The same, whether or not a message of the client is incomplete.
    fn time_of_use(&self) -> Option<(Duration, Over)> {
        let limits = self.allowance.times();
        if let Some(since) = self.waits_for_draw() {
            return set(limits.query_timeout)
                .map(|limit| (limit.saturating_sub(since.elapsed()), Over::Query));
        }
        let in_use = |link: &&Link| link.in_use_since.is_some() || link.request.sent;
        let Some(link) = self.link.as_deref().filter(in_use) else {
            return set(limits.client_idle_timeout).map(|limit| (limit, Over::Client));
        };
        // Unwritten output counts from now.
        let left = |limit: Duration, since: Option<Instant>| {
            set(limit)
                .map(|limit| limit.saturating_sub(since.map_or(Duration::ZERO, |since| since.elapsed())))
        };
        let transaction =
            left(limits.transaction_timeout, link.in_use_since).map(|left| (left, Over::Transaction));
        // PostgreSQL is working, and does not wait for more data: answers are due and were requested.
        let request = &link.request;
        let asked =
            request.awaiting || request.flushed && !link.expects.is_empty() && !self.framing.is_streaming();
        let works = asked && !link.copy_in;
        let other = match works {
            true => left(limits.query_timeout, link.request.begun).map(|left| (left, Over::Query)),
            false => set(limits.idle_transaction_timeout).map(|limit| (limit, Over::IdleTransaction)),
        };
        transaction.into_iter().chain(other).min_by_key(|(left, _)| *left)
    }

    /// Records that a request was answered and left the session at `status`. In a transaction the client keeps its
    /// server.
    pub(super) fn note_use(&mut self, status: Status) {
        if let Some(link) = self.link.as_mut().filter(|_| status == Status::Idle) {
            link.in_use_since = None;
        }
    }
}

/// A limit, unless it is off.
fn set(limit: Duration) -> Option<Duration> {
    (!limit.is_zero()).then_some(limit)
}
