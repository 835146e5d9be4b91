//! A client that takes too long is closed, and its server goes to others: none is held for ever.
//!
//! The limits are the proxy's own, and no client sets them; PostgreSQL's own time-outs hold beside them. Each counts
//! from what has happened, not from when it is looked at, but for a client that does nothing: its time begins anew with each
//! of its bytes.

use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::link::Link;
use super::{End, Session, Status};

/// What has lasted for too long.
#[derive(Clone, Copy)]
enum Over {
    Query,
    Transaction,
    IdleTransaction,
    Client,
}

impl Over {
    /// The last words to the client: PostgreSQL's own, where it has the same limit.
    fn end(self) -> End {
        let (code, message) = match self {
            Over::Query => ("57014", "terminating connection: a request took longer than query_timeout"),
            Over::Transaction => ("25P04", "terminating connection due to transaction timeout"),
            Over::IdleTransaction => ("25P03", "terminating connection due to idle-in-transaction timeout"),
            Over::Client => ("57P05", "terminating connection due to idle-session timeout"),
        };
        End::fatal(code, message)
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// [`Session::exchange`], for no longer than the limits allow.
    pub(super) async fn exchange_in_time(&mut self) -> Result<(), End> {
        let Some((left, over)) = self.time_left() else { return self.exchange().await };
        match timeout(left, self.exchange()).await {
            Ok(moved) => moved,
            Err(_) => Err(over.end()),
        }
    }

    /// How long may be waited now, and what is over then.
    fn time_left(&self) -> Option<(Duration, Over)> {
        let limits = &self.config.limits;
        let in_use = |link: &&Link| link.in_use_since.is_some() || link.request.sent;
        let Some(link) = self.link.as_deref().filter(in_use) else {
            return set(limits.client_idle_timeout).map(|limit| (limit, Over::Client));
        };
        // What is not written yet begins now.
        let left = |limit: Duration, since: Option<Instant>| {
            set(limit)
                .map(|limit| limit.saturating_sub(since.map_or(Duration::ZERO, |since| since.elapsed())))
        };
        let transaction =
            left(limits.transaction_timeout, link.in_use_since).map(|left| (left, Over::Transaction));
        // PostgreSQL has something to do, and is not waiting for more itself: answers are due, and were asked for.
        let request = &link.request;
        let asked = request.awaiting || request.flushed && !link.expects.is_empty() && self.stream_left == 0;
        let works = asked && !link.copy_in;
        let other = match works {
            true => left(limits.query_timeout, link.request.begun).map(|left| (left, Over::Query)),
            false => set(limits.idle_transaction_timeout).map(|limit| (limit, Over::IdleTransaction)),
        };
        transaction.into_iter().chain(other).min_by_key(|(left, _)| *left)
    }

    /// A request has been answered, and the session is at `status`: the server is the client's alone up to the end of the
    /// transaction.
    pub(super) fn note_use(&mut self, status: Status) {
        if let Some(link) = self.link.as_mut().filter(|_| status == Status::Idle) {
            link.in_use_since = None;
        }
    }
}

/// A limit, unless there is none.
fn set(limit: Duration) -> Option<Duration> {
    (!limit.is_zero()).then_some(limit)
}
