//! Whether a session's tenant is served now: in front of each transaction, and with `SET tenant`.
//!
//! Where nothing has changed since the tenant was last known to be served, that costs one comparison.
//! Else it is looked up: its client goes on, waits, is refused or has to leave. A transaction that has
//! begun goes on to its end, unless the schema is gone: its names would mean the shared schemas' tables.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Buf;
use pgstrata_tenancy::TenantId;
use tokio::io::{AsyncRead, AsyncWrite};

use super::io::shutting_down;
use super::standing::{Held, Unserved, cancelled, gone, no_answer, outwait, patiently};
use super::tenant::Tenancy;
use super::{End, Session, Status};
use crate::catalog::CatalogError;
use crate::catalog::directory::Look;
use crate::config::WhileMigrating;
use crate::metrics::tally::{self, Tally};
use crate::sql::plan::{Plan, Refusal, StatementKind};
use crate::wire::frame;

/// For a user whose tenant is that of its login, whatever its SQL says.
const NO_SWITCH: &str = "This user may not change its tenant on an open connection. An administrator may set \
     tenant_switch = true for it in the proxy's configuration.";

/// What a session keeps of its admissions.
pub(super) struct Attendance {
    /// The message at hand goes on for this tenant, which was just looked at. Whatever changes meanwhile:
    /// else it never would where news never ends.
    pub cleared: Option<Arc<Tenancy>>,
    /// A part of the message at hand is answered: it can't be begun again.
    pub begun: bool,
    clients: Arc<AtomicUsize>,
    /// By the tenant of the login.
    _counted: Option<tally::Client>,
}

impl Attendance {
    /// Of a client that is counted until this is dropped.
    pub(super) fn new(clients: Arc<AtomicUsize>, tenant: Option<&Arc<Tally>>) -> Self {
        clients.fetch_add(1, Ordering::Relaxed);
        Self { cleared: None, begun: false, clients, _counted: tenant.map(tally::Client::new) }
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        self.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Whether it is known that a request for this tenant may begin, or go on.
    #[inline]
    pub(super) fn may_begin(&self, tenancy: &Tenancy) -> bool {
        let directory = &self.identity.database.directory;
        tenancy.served.holds(directory)
            || self.attendance.cleared.as_deref().is_some_and(|cleared| std::ptr::eq(cleared, tenancy))
            || tenancy.served.still_holds(directory, &tenancy.scope.schema)
    }

    /// Finds out how the tenant of the message at the head of the buffer fares. Behind it that message
    /// goes on, or has been refused.
    pub(super) async fn await_tenant(&mut self, tenancy: Arc<Tenancy>) -> Result<(), End> {
        let database = Arc::clone(&self.identity.database);
        let (directory, schema) = (&database.directory, Arc::from(&*tenancy.scope.schema));
        let Some(tenant) = tenancy.scope.tenant.as_deref() else {
            tenancy.served.note(directory.changes(), directory.epoch(&schema));
            return self.clear(&tenancy);
        };
        let end = || End::fatal("57P01", gone(tenant));
        let open = self.is_in_a_transaction();
        let until = self.patience();
        let looking = async || directory.look(&schema).await;
        let mut look = self.hold(patiently(until, looking)).await?;
        if let Some(Ok(passing)) = &look
            && passing.is_passing()
        {
            look = self.outlast(&schema, *passing, until).await?;
        }
        let refusal = match look {
            Some(Ok(look)) => match Unserved::of(look.state) {
                None => {
                    tenancy.served.note(look.changes, look.epoch);
                    return self.clear(&tenancy);
                }
                // With the schema gone, a name would mean a shared table: not even a transaction goes on.
                Some(Unserved::Gone) if open && look.state.is_none() => return Err(end()),
                // In a pipeline, what was answered is told first.
                Some(Unserved::Gone) if !open && !self.has_sent() => return Err(end()),
                _ if open => return self.clear(&tenancy),
                Some(unserved) => unserved.refusal(tenant),
            },
            Some(Err(_)) if open => return self.clear(&tenancy),
            Some(Err(error)) => no_answer(&error, &database),
            None => cancelled(),
        };
        self.refuse_head(refusal);
        self.release().await;
        Ok(())
    }

    /// The tenant of that name, if there is one that this user may name, and that is served.
    pub(super) async fn find_tenant(
        &mut self,
        tenant: &TenantId,
    ) -> Result<Result<Arc<Tenancy>, Refusal>, End> {
        let (database, user) = (Arc::clone(&self.identity.database), Arc::clone(&self.identity.user));
        let config = Arc::clone(&self.config);
        let may_name = user.tenant_switch && user.may_name(tenant.as_str());
        let until = self.patience();
        let unknown = || Refusal {
            code: "42501",
            // The same words for a tenant that is not there and for one that is not this user's.
            message: format!("tenant \"{tenant}\" does not exist or user \"{}\" may not use it", user.name),
            hint: (!user.tenant_switch).then(|| NO_SWITCH.into()),
        };
        let finding = patiently(until, async || match may_name {
            true => database.find_or_make(tenant, &config).await,
            false => database.find(tenant, &config).await,
        });
        let Some(found) = self.hold(finding).await? else { return Ok(Err(cancelled())) };
        let found = match found {
            Ok(Some(found)) if may_name => found,
            Err(error) if may_name => return Ok(Err(no_answer(&error, &database))),
            _ => return Ok(Err(unknown())),
        };
        let mut look = Some(Ok(found.look));
        if found.look.is_passing() {
            look = self.outlast(&found.schema, found.look, until).await?;
        }
        Ok(match look {
            Some(Ok(look)) => match Unserved::of(look.state) {
                None => match database.tenancy(Some(tenant), &found.schema, user.policy(), &config) {
                    Ok(tenancy) => {
                        tenancy.served.note(look.changes, look.epoch);
                        Ok(tenancy)
                    }
                    Err(error) => {
                        Err(Refusal { code: error.sqlstate(), message: error.to_string(), hint: None })
                    }
                },
                Some(Unserved::Gone) => Err(unknown()),
                Some(unserved) => Err(unserved.refusal(tenant.as_str())),
            },
            Some(Err(error)) => Err(no_answer(&error, &database)),
            None => Err(cancelled()),
        })
    }

    /// Waits for a tenant that is not served yet, where it is worth waiting for. `None`: cancelled.
    async fn outlast(
        &mut self,
        schema: &Arc<str>,
        look: Look,
        until: Instant,
    ) -> Result<Option<Result<Look, Arc<CatalogError>>>, End> {
        let wanted = self.config.tenancy.while_migrating == WhileMigrating::Wait;
        if !wanted || !self.may_wait() {
            return Ok(Some(Ok(look)));
        }
        self.hand_back().await;
        let (database, metrics) = (Arc::clone(&self.identity.database), Arc::clone(&self.shared.metrics));
        let _held = Held::new(&metrics);
        self.hold(outwait(&database.directory, schema, look, until)).await
    }

    /// Whether a transaction is open that goes on: the client's own, or that of a pipeline that has read
    /// or written.
    pub(super) fn is_in_a_transaction(&self) -> bool {
        self.status_then() != Status::Idle || self.touched && self.has_sent()
    }

    /// Whether the message at hand can wait: nothing of its transaction is on a server.
    fn may_wait(&self) -> bool {
        !self.is_in_a_transaction() && !self.has_sent() && !self.attendance.begun
    }

    /// Until when the message at hand waits, if it can.
    fn patience(&self) -> Instant {
        let limit = if self.may_wait() { self.config.pool.wait_timeout } else { Duration::ZERO };
        Instant::now() + limit
    }

    fn clear(&mut self, tenancy: &Arc<Tenancy>) -> Result<(), End> {
        self.attendance.cleared = Some(Arc::clone(tenancy));
        Ok(())
    }

    /// Answers the message at the head of the buffer with an error.
    pub(super) fn refuse_head(&mut self, refusal: Refusal) {
        self.plan = None;
        self.judged = None;
        self.attendance.begun = false;
        // A role that was put in force for it is needed no more.
        if let Some(link) = self.link.as_mut().filter(|link| !link.request.sent) {
            link.next_request();
        }
        match frame::header(&self.inbuf) {
            Ok(Some(header)) if header.tag == b'Q' => {
                self.inbuf.advance(header.total.min(self.inbuf.len()));
                self.refuse_request(refusal);
            }
            // It is dropped with all that follows, up to `Sync`.
            _ => drop(self.refuse_in_pipeline(refusal)),
        }
    }

    /// No server waits with its client, unless that is tied to it.
    async fn hand_back(&mut self) {
        self.release().await;
        if !self.pins.is_empty() {
            return;
        }
        let Some(link) = self.link.take() else { return };
        if self.let_go() {
            self.cancel.settled().await;
        }
        // What was to be wiped off it has not been.
        link.discard();
    }

    /// Does `work` while the client is listened to: it may hang up, cancel (`None`), or have to leave.
    pub(super) async fn hold<T>(&mut self, work: impl Future<Output = T>) -> Result<Option<T>, End> {
        let mut work = pin!(work);
        // Most often it is known.
        let first = poll_fn(|cx| Poll::Ready(work.as_mut().poll(cx))).await;
        if let Poll::Ready(done) = first {
            return Ok(Some(done));
        }
        let slot = Arc::clone(self.cancel.slot());
        let between = self.status == Status::Idle && !self.has_sent();
        let mut shutdown = self.shutdown.clone();
        let stop = async {
            match between {
                true => drop(shutdown.wait_for(|stop| *stop).await),
                false => pending().await,
            }
        };
        let (mut stop, mut cancelled) = (pin!(stop), pin!(slot.cancelled()));
        poll_fn(|cx| {
            if let Poll::Ready(done) = work.as_mut().poll(cx) {
                return Poll::Ready(Ok(Some(done)));
            }
            if cancelled.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Ok(None));
            }
            if stop.as_mut().poll(cx).is_ready() {
                return Poll::Ready(Err(shutting_down()));
            }
            self.poll_waiting_client(cx).map(|()| Err(End::ClientGone))
        })
        .await
    }
}

/// Whether a text concerns no tenant, so that whoever pools this connection can clean it at any time.
pub(super) fn is_nobodys(plan: &Plan) -> bool {
    use StatementKind::{Deallocate, Discard};
    matches!(&plan.statements[..], [only] if matches!(only.kind, Deallocate(_) | Discard(_)))
}
