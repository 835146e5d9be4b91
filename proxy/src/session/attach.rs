//! A server comes when a request needs one, and goes back when nothing ties it to the client.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Instant;

use bytes::Buf;
use pgstrata_tenancy::RoleName;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::clock::Clock;
use super::expect::Expect;
use super::link::Link;
use super::role::Settled;
use super::standing::cancelled;
use super::{End, Session, Status};
use crate::clients::slot::Place;
use crate::config::Isolation;
use crate::pool::cancel::send_cancel;
use crate::pool::connect::ConnectError;
use crate::pool::restore::CLEAN_LIMIT;
use crate::pool::server::User;
use crate::pool::servers::{CheckoutError, Lease};
use crate::sql::plan::Refusal;
use crate::wire::{frame, message};

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Gets a server. If there is none to be had, the request is answered with the reason.
    pub(super) async fn attach(&mut self) -> Result<(), End> {
        let wanted = std::mem::take(&mut self.wanted);
        // A server that is there at once was not waited for, and looking at the clock takes time too.
        let mut waits = None;
        if let Some(link) = self.link.take() {
            // It is one of another login.
            let now = self.clock.stop();
            self.entry.wait(Some(now));
            waits = Some(now);
            Box::pin(self.give_up(link)).await;
        }
        self.show_place();
        let checked_out = self.check_out(wanted.login(), &mut waits).await;
        if waits.is_some() {
            self.entry.wait(None);
        }
        match checked_out {
            Some(Ok(lease)) => {
                self.count_wait(waits);
                self.join(lease, &wanted);
                Ok(())
            }
            Some(Err(refusal)) => {
                self.count_wait(waits);
                // There is no request that this was spent on.
                self.clock = Clock::new();
                self.deny(&refusal);
                Ok(())
            }
            None => Err(End::ClientGone),
        }
    }

    /// Gets a server that is idle, if it is one for all tenants. Mostly there is one, and nothing need be waited for.
    pub(super) fn attach_at_once(&mut self) -> bool {
        if self.link.is_some() || self.tenants.now().isolation.login().is_some() {
            return false;
        }
        let turn = &self.tenants.now().turn;
        let Some(lease) = self.identity.database.servers.take(turn, self.clock.latest()) else {
            return false;
        };
        self.count_wait(None);
        let wanted = self.tenants.now().isolation.clone();
        self.join(lease, &wanted);
        true
    }

    /// Makes a server the client's.
    fn join(&mut self, lease: Lease, wanted: &Isolation) {
        if lease.birth != self.told_of {
            self.tell_birth(&lease);
        }
        self.cancel.attach(lease.pid, &lease.key);
        let now = self.clock.latest();
        lease.entry.used(now);
        self.entry.attach(lease.entry.id(), now);
        self.show_place();
        let mut link = Box::new(Link::new(lease, wanted.login().cloned()));
        link.hand_over(self.server_user(), &self.settings, wanted.set_role());
        self.link = Some(link);
    }

    /// The client works on no server from now on; as [`super::cancel::CancelEntry::detach`].
    pub(super) fn let_go(&mut self) -> bool {
        self.entry.detach();
        self.holds_cancels = false;
        self.cancel.detach()
    }

    /// Shows whom the client works for, where that is another than the last time.
    pub(super) fn show_place(&mut self) {
        let now = self.tenants.now();
        let same = match (&now.turn, &self.shown) {
            (Some(now), Some(shown)) => Arc::ptr_eq(now, shown),
            (now, shown) => now.is_none() && shown.is_none(),
        };
        if !same {
            let place = Place { tenant: now.turn.clone(), login: now.isolation.login().cloned() };
            self.shown.clone_from(&now.turn);
            self.entry.set_place(place);
        }
    }

    /// Who uses the server at hand.
    pub(super) fn server_user(&self) -> User<'_> {
        (self.cancel.slot().pid, &self.tenants.now().turn)
    }

    /// Waits for a server, for the client to cancel its request, and for it to go away: `None`. Notes since when it
    /// `waits`, if it does.
    async fn check_out(
        &mut self,
        login: Option<&RoleName>,
        waits: &mut Option<Instant>,
    ) -> Option<Result<Lease, Refusal>> {
        let database = Arc::clone(&self.identity.database);
        let slot = Arc::clone(self.cancel.slot());
        let mut gives_up = pin!(slot.cancelled());
        let limit = self.config.pool.wait_timeout;
        let turn = self.tenants.now().turn.clone();
        let mut checkout = Box::pin(database.check_out(login, &turn, limit));
        poll_fn(|cx| {
            if let Poll::Ready(lease) = checkout.as_mut().poll(cx) {
                return Poll::Ready(Some(lease.map_err(|error| no_server(&error))));
            }
            if gives_up.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Some(Err(cancelled())));
            }
            // It would wait for an administrator, and the proxy ends.
            if self.is_stopping() && database.gate.is_paused() {
                return Poll::Ready(Some(Err(no_server(&CheckoutError::Closed))));
            }
            if waits.is_none() {
                let now = self.clock.stop();
                self.entry.wait(Some(now));
                *waits = Some(now);
            }
            self.poll_waiting_client(cx).map(|()| None)
        })
        .await
    }

    /// Answers the message at the head of the buffer with an error.
    fn deny(&mut self, refusal: &Refusal) {
        self.tell(refusal);
        self.give_up_message();
    }

    /// The message at the head of the buffer was answered with an error, and nothing of it has been sent.
    pub(super) fn give_up_message(&mut self) {
        self.plan = None;
        self.judged = None;
        self.attendance.begun = false;
        self.fail_local();
        match frame::header(&self.inbuf) {
            Ok(Some(header)) if header.tag == b'Q' => {
                self.inbuf.advance(header.total.min(self.inbuf.len()));
                message::ready_for_query(&mut self.outbuf, Status::Idle.byte());
            }
            _ => self.skip_to_sync = true,
        }
    }

    /// Puts the server back if nothing ties it to this client. `true`: there may be more of PostgreSQL's to relay.
    pub(super) async fn release(&mut self) -> bool {
        let restoring = self.link.as_ref().is_some_and(|link| link.is_being_restored());
        let free = self.link.as_ref().is_some_and(|link| {
            // PostgreSQL still waits for the rest of a message that began on it.
            let halfway = self.stream_on && self.stream_left > 0;
            let asks = link.request.role != Settled::No;
            let answered = link.expects.iter().all(Expect::is_restored);
            let over = !halfway && !asks && !link.request.sent && answered;
            over && self.status == Status::Idle && self.pins.is_empty()
        });
        if !free {
            if restoring {
                Box::pin(self.await_restored()).await;
            }
            return restoring;
        }
        if self.let_go() {
            Box::pin(self.cancel.settled()).await;
            self.clock.see(Instant::now());
        }
        if let Some(mut link) = self.link.take() {
            // Parameters that such code has set go unseen: the client must hear what is so next time.
            self.stale_told |= link.opaque;
            let user = self.server_user();
            // Whatever it ran, another's draws are no longer all that there may be.
            link.lease.drawn_by = link.lease.drawn_by.filter(|(by, _)| *by == user.0);
            link.give_back(user, self.clock.latest(), &self.shared.metrics);
        }
        false
    }

    /// The end: what the client still has to hear is written, what it left behind is cleaned.
    pub(super) async fn leave(mut self: Box<Self>, end: &End) {
        if !matches!(end, End::ClientGone) {
            let rest = self.outbuf.split();
            let goodbye = async {
                self.stream.write_all(&rest).await?;
                match end {
                    // It has said goodbye itself, and does not wait for ours. In TLS it is told that all was said.
                    End::Terminated if !self.identity.tls => self.stream.flush().await,
                    _ => self.stream.shutdown().await,
                }
            };
            let _ = timeout(CLEAN_LIMIT, goodbye).await;
        }
        let Some(mut link) = self.link.take() else { return };
        let Self { stream, cancel, identity, status, pins, shared, stream_on, stream_left, tenants, .. } =
            *self;
        drop(stream);
        let halfway = stream_on && stream_left > 0;
        let tied = halfway || pins.has_state();
        let clean = async {
            let cancels = link.expects.front().is_some_and(|front| !front.is_own_query());
            if cancels && !matches!(end, End::Terminated) {
                let target = identity.database.servers.target();
                let _ = send_cancel(&target, link.lease.pid, &link.lease.key).await;
            }
            if tied {
                return Err(io::ErrorKind::Other.into());
            }
            link.clean(status, !pins.is_empty(), &shared.metrics).await
        };
        let cleaned = timeout(CLEAN_LIMIT, clean).await;
        if cancel.detach() {
            cancel.settled().await;
        }
        if !matches!(cleaned, Ok(Ok(()))) {
            link.lease.in_doubt = true;
        }
        link.give_back((cancel.slot().pid, &tenants.now().turn), Instant::now(), &shared.metrics);
    }
}

pub(super) fn no_server(error: &CheckoutError) -> Refusal {
    if let CheckoutError::Connect(ConnectError::Again(error)) = error {
        return no_connection(error);
    }
    let (code, message, hint) = match error {
        CheckoutError::Timeout(_) => (
            "53300",
            error.to_string(),
            Some(
                "All servers are busy. Raise pool.max_servers (in the tier login: pool.max_servers_per_tenant, \
                 pool.max_tenant_servers), or look for long transactions."
                    .into(),
            ),
        ),
        CheckoutError::Share { .. } => (
            "53300",
            error.to_string(),
            Some(
                "End its long statements and transactions, or sessions that keep their server; or raise \
                 tenancy.max_servers_per_tenant."
                    .into(),
            ),
        ),
        CheckoutError::Connect(error) => return no_connection(error),
        CheckoutError::Closed => (
            "57P01",
            "the database was removed from the configuration, or the proxy is shutting down".into(),
            None,
        ),
    };
    Refusal { code, message, hint }
}

fn no_connection(error: &ConnectError) -> Refusal {
    let (code, message) = match error {
        ConnectError::Refused { code, message } if code == "53300" => {
            ("53300", format!("PostgreSQL has no connection left: {message}"))
        }
        ConnectError::Refused { code, message } if code == "57P03" => {
            ("57P03", format!("PostgreSQL does not accept connections now: {message}"))
        }
        ConnectError::Refused { code, .. } => {
            ("08006", format!("cannot connect to PostgreSQL: it refuses the proxy's login ({code})"))
        }
        // Addresses and logins of ours are no business of the client's; the log has them.
        _ => ("08006", "cannot connect to PostgreSQL".into()),
    };
    Refusal { code, message, hint: None }
}
