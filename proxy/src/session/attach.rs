//! Checks out a server when a request needs one, and returns it when the client is not pinned to it.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use humantime_serde::re::humantime;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, Sleep, sleep, timeout};

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
use crate::shared::cluster::ClusterId;
use crate::shared::tenancy::Tenancy;
use crate::simulation::{Fault, fault};
use crate::sql::plan::Refusal;
use crate::wire::message;
use crate::wire::message::Severity;

/// How long a client may take to disconnect after the proxy has closed its session.
const LINGER: Duration = Duration::from_secs(1);

/// The time of the one notice to a client that waits.
#[derive(Default)]
struct WaitNotice {
    timer: Option<Pin<Box<Sleep>>>,
    told: bool,
}

impl WaitNotice {
    /// Whether the client has waited for this time; 0: there is no notice. If it has not, the task is woken at that
    /// time.
    fn is_due(&mut self, after: Duration, cx: &mut Context<'_>) -> bool {
        if self.told || after.is_zero() {
            return false;
        }
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(after)));
        self.told = timer.as_mut().poll(cx).is_ready();
        self.told
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Gets a server. If there is none, the request is answered with the reason.
    pub(super) async fn attach(&mut self) -> Result<(), End> {
        let wanted = self.head.take_wanted().unwrap_or_else(|| Arc::clone(self.tenants.now()));
        // An idle server means no wait, and no reading of the clock.
        let mut waits = None;
        if let Some(link) = self.link.take() {
            // It is a server of another login.
            let now = self.clock.stop();
            self.entry.wait(Some(now));
            waits = Some(now);
            Box::pin(self.give_up(link)).await;
        }
        self.show_place();
        let checked_out = self.check_out(&wanted, &mut waits).await;
        if waits.is_some() {
            self.entry.wait(None);
        }
        match checked_out {
            // It is closed, and the message is begun again with another server.
            Some(Ok(lease)) if self.has_other_buffers(&lease) => {
                self.count_wait(waits);
                drop(lease);
                Ok(())
            }
            Some(Ok(lease)) => {
                self.count_wait(waits);
                let cluster = self.cluster_of(&wanted);
                self.cancel.attach(lease.pid, &lease.key, &cluster.servers);
                let id = cluster.id;
                self.join(lease, &wanted.isolation, id);
                Ok(())
            }
            // A reload has the cluster elsewhere: the message is begun again, and goes there.
            Some(Err(_)) if !self.is_stopping() && self.is_replaced(&wanted) => {
                self.count_wait(waits);
                Ok(())
            }
            Some(Err(refusal)) => {
                self.count_wait(waits);
                // No request used this time.
                self.clock = Clock::new();
                self.deny(&refusal);
                Ok(())
            }
            None => Err(End::ClientGone),
        }
    }

    /// Gets an idle server of the pool of all tenants. Usually there is one, so the task is not suspended.
    pub(super) fn attach_at_once(&mut self) -> bool {
        if self.link.is_some() || self.tenants.now().isolation.login().is_some() {
            return false;
        }
        self.settle_allowance();
        let (claim, cluster) = (self.allowance.claim(), self.cluster());
        let Some(lease) = cluster.servers.take(claim, self.clock.latest()) else {
            return false;
        };
        if self.has_other_buffers(&lease) {
            return false;
        }
        self.cancel.attach(lease.pid, &lease.key, &cluster.servers);
        let id = cluster.id;
        self.count_wait(None);
        let wanted = self.tenants.now().isolation.clone();
        self.join(lease, &wanted, id);
        true
    }

    /// Whether a reload has put another cluster in the place of the tenant's cluster.
    fn is_replaced(&self, tenancy: &Tenancy) -> bool {
        self.identity.database.has_replaced(self.cluster_of(tenancy))
    }

    /// Makes a server of that cluster the client's. Cancel requests reach the server already.
    fn join(&mut self, lease: Lease, wanted: &Isolation, cluster: ClusterId) {
        if lease.birth != self.reported.birth() {
            self.tell_birth(&lease);
        }
        let now = self.clock.latest();
        lease.entry.used(now);
        self.entry.attach(lease.entry.id(), now);
        self.show_place();
        let mut link = Box::new(Link::new(lease, wanted.login().cloned(), cluster));
        link.hand_over(self.server_user(), &self.settings, wanted.set_role());
        self.link = Some(link);
    }

    /// The client uses no server from now on; see [`crate::cancel::CancelEntry::detach`].
    pub(super) fn let_go(&mut self) -> bool {
        self.entry.detach();
        self.holds_cancels = false;
        self.cancel.detach()
    }

    /// Shows the tenant that the client works for, if it has changed.
    pub(super) fn show_place(&mut self) {
        self.settle_allowance();
        let now = self.tenants.now();
        let same = match (&now.turn, &self.shown) {
            (Some(now), Some(shown)) => Arc::ptr_eq(now, shown),
            (now, shown) => now.is_none() && shown.is_none(),
        };
        if !same {
            let away = now.away.as_ref().map(|cluster| cluster.id);
            let place = Place { tenant: now.turn.clone(), login: now.isolation.login().cloned(), away };
            self.shown.clone_from(&now.turn);
            self.entry.set_place(place);
        }
    }

    /// The user of the server at hand.
    pub(super) fn server_user(&self) -> User<'_> {
        (self.cancel.slot().pid, &self.tenants.now().turn)
    }

    /// Waits for a server, for a cancel request, and for the client to disconnect: `None`. Records in `waits` since
    /// when the client waits.
    async fn check_out(
        &mut self,
        wanted: &Tenancy,
        waits: &mut Option<Instant>,
    ) -> Option<Result<Lease, Refusal>> {
        let cluster = Arc::clone(self.cluster_of(wanted));
        let slot = Arc::clone(self.cancel.slot());
        let mut gives_up = pin!(slot.cancelled());
        let limit = self.allowance.times().query_wait_timeout;
        let mut notice = WaitNotice::default();
        let claim = self.allowance.claim().clone();
        let mut checkout = Box::pin(cluster.check_out(wanted.isolation.login(), &claim, limit));
        let mut queued = None;
        poll_fn(|cx| {
            if let Poll::Ready(lease) = checkout.as_mut().poll(cx) {
                return Poll::Ready(Some(lease.map_err(|error| self.late(no_server(&error)))));
            }
            if gives_up.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Some(Err(cancelled())));
            }
            // It would wait for an administrator while the proxy shuts down.
            if self.is_stopping() && cluster.gate.is_paused() {
                return Poll::Ready(Some(Err(no_server(&CheckoutError::Closed))));
            }
            if queued.is_none() {
                match self.queue() {
                    Ok(place) => {
                        self.count_hindrance();
                        queued = Some(place);
                    }
                    Err(refusal) => return Poll::Ready(Some(Err(refusal))),
                }
            }
            if waits.is_none() {
                let now = self.clock.stop();
                self.entry.wait(Some(now));
                *waits = Some(now);
            }
            self.poll_notice(&mut notice, cx);
            self.poll_waiting_client(cx).map(|()| None)
        })
        .await
    }

    /// The refusal for a missing server, with the owner of the limit if a time limit is the reason.
    fn late(&self, refusal: Refusal) -> Refusal {
        let limit = self.allowance.in_words(|table| table.query_wait_timeout.as_ref());
        let hint = refusal.hint.map(|hint| format!("{hint} It waited as long as it may: {limit}."));
        Refusal { hint, ..refusal }
    }

    /// Sends the notice to a client that has waited for that long.
    fn poll_notice(&mut self, notice: &mut WaitNotice, cx: &mut Context<'_>) {
        let after = self.allowance.times().wait_notice;
        if !notice.is_due(after, cx) {
            return;
        }
        let why = match self.cluster().gate.is_paused() {
            true => "An administrator has paused the database.",
            false => "All servers that it may have are in use.",
        };
        self.notify_of_wait("a server", after, why);
    }

    /// Sends the client a notice that its request waits.
    pub(super) fn notify_of_wait(&mut self, what: &str, since: Duration, why: &str) {
        if !self.hears_notices() {
            return;
        }
        let limit = self.allowance.in_words(|table| table.query_wait_timeout.as_ref());
        let text = format!("still waiting for {what} after {}", humantime::format_duration(since));
        let hint = format!("{why} It waits no longer than {limit}.");
        message::error(&mut self.outbuf, Severity::Notice, "00000", &text, Some(&hint));
    }

    /// Answers the message at the head of the buffer with an error.
    fn deny(&mut self, refusal: &Refusal) {
        self.tell(refusal);
        self.give_up_message();
    }

    /// The message at the head of the buffer was answered with an error, and no part of it has been sent.
    pub(super) fn give_up_message(&mut self) {
        self.head.give_up();
        self.fail_local();
        match self.framing.drop_request() {
            true => message::ready_for_query(&mut self.outbuf, Status::Idle.byte()),
            false => self.framing.skip_to_sync(),
        }
    }

    /// Returns the server if the client is not pinned to it. `true`: there may be more messages from PostgreSQL to
    /// relay. The error: the server is lost.
    pub(super) async fn release(&mut self) -> Result<bool, End> {
        let restoring = self.link.as_ref().is_some_and(|link| link.is_being_restored());
        let free = self.link.as_ref().is_some_and(|link| {
            // PostgreSQL still expects the rest of a message that began on this server.
            let halfway = self.framing.owes_server();
            let asks = link.request.role != Settled::No;
            let answered = link.expects.iter().all(Expect::is_restored);
            let over = !halfway && !asks && !link.request.sent && answered;
            let idle = self.status == Status::Idle || fault(Fault::LentInTransaction);
            over && idle && self.pins.is_empty()
        });
        if !free {
            if restoring {
                Box::pin(self.await_restored()).await?;
            }
            return Ok(restoring);
        }
        if self.let_go() && !fault(Fault::CancelNotAwaited) {
            Box::pin(self.cancel.settled()).await;
            self.clock.see(Instant::now());
        }
        if let Some(mut link) = self.link.take() {
            // Such code may have set parameters unseen, so the client gets their values again with the next server.
            self.reported.doubt_if(link.opaque);
            let user = self.server_user();
            // Whatever the client ran, the draws of the previous owner are not the only ones any more.
            link.lease.sequence_owner = link.lease.sequence_owner.filter(|(by, _)| *by == user.0);
            link.give_back(user, self.clock.latest(), &self.shared.metrics);
        }
        Ok(false)
    }

    /// Ends the session: writes the remaining output to the client, and cleans the server.
    pub(super) async fn leave(mut self: Box<Self>, end: &End) {
        if !matches!(end, End::ClientGone) {
            let rest = self.outbuf.split();
            let goodbye = async {
                self.stream.write_all(&rest).await?;
                match end {
                    // The client has sent Terminate and does not wait for an answer. With TLS, the closing alert is
                    // still sent.
                    End::Terminated if !self.identity.tls => self.stream.flush().await,
                    _ => self.stream.shutdown().await,
                }
            };
            let _ = timeout(CLEAN_LIMIT, goodbye).await;
            if self.entry.leaves() {
                // If the client's unread data caused a reset of the connection, the client might lose the last message.
                let _ = timeout(LINGER, hung_up(&mut self.stream)).await;
            }
        }
        // Statements that a time-out or an administrator has ended are counted, too.
        self.runs_lost();
        let (cluster, tenancy) = self.watched();
        let Some(mut link) = self.link.take() else { return };
        let Self { stream, cancel, status, pins, shared, framing, tenants, .. } = *self;
        drop(stream);
        let tied = framing.owes_server() || pins.has_state();
        let clean = async {
            let cancels = link.expects.front().is_some_and(|front| !front.is_own_query());
            if cancels
                && !matches!(end, End::Terminated)
                && let Some(target) = cancel.slot().target()
            {
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
        // What has run last may have met code that no plan knew of.
        link.see_changes(&cluster, &tenancy.scope.schema);
        link.give_back((cancel.slot().pid, &tenants.now().turn), Instant::now(), &shared.metrics);
    }
}

/// Returns when the client has disconnected. Data that arrives until then is discarded.
async fn hung_up(stream: &mut (impl AsyncRead + Unpin)) {
    let mut room = [0; 1024];
    while matches!(stream.read(&mut room).await, Ok(1..)) {}
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
        CheckoutError::Limited(_, hindrance) => (
            "53300",
            error.to_string(),
            Some(format!(
                "End its long statements and transactions, or sessions that keep their server; or raise {}.",
                hindrance.key()
            )),
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
        // Addresses and logins of the proxy are in the log, not in the client's error.
        _ => ("08006", "cannot connect to PostgreSQL".into()),
    };
    Refusal { code, message, hint: None }
}
