//! Whether a session's tenant is served now: checked in front of each transaction, and with `SET tenant`.
//!
//! If nothing has changed since the tenant was last known to be served, the check is one comparison. Otherwise the
//! tenant is looked up, and its client continues, waits, is refused or has to leave. An open transaction continues to
//! its end, unless the schema is gone: its names would then mean tables of the shared schemas.

use std::future::{pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::Duration;

use pgstrata_tenancy::TenantId;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::io::shutting_down;
use super::standing::{Held, Unserved, cancelled, gone, no_answer, patiently, wait_until_served};
use super::{End, Session, Status};
use crate::catalog::CatalogError;
use crate::config::WhileMigrating;
use crate::metrics::tally::{self, Tally};
use crate::shared::tenancy::Tenancy;
use crate::shared::{Found, Located};
use crate::sql::plan::{Plan, Refusal, StatementKind};

/// The hint for a user whose tenant is always that of its login.
const NO_SWITCH: &str = "This user may not change its tenant on an open connection. An administrator may set \
     tenant_switch = true for it in the proxy's configuration.";

/// A client that is counted, until this value is dropped.
pub(super) struct Counted {
    clients: Arc<AtomicUsize>,
    /// For the tenant of the login.
    _of_tenant: Option<tally::Client>,
}

impl Counted {
    /// Counts a client of the database with these `clients`, and of its tenant.
    pub(super) fn new(clients: Arc<AtomicUsize>, tenant: Option<&Arc<Tally>>) -> Self {
        clients.fetch_add(1, Ordering::Relaxed);
        Self { clients, _of_tenant: tenant.map(tally::Client::new) }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<C: AsyncRead + AsyncWrite + Unpin> Session<C> {
    /// Whether the tenant is known to be served, so that a request for it may begin or continue.
    #[inline]
    pub(super) fn may_begin(&self, tenancy: &Tenancy) -> bool {
        let directory = &self.identity.database.home.directory;
        let served = tenancy.served.holds(directory)
            || self.head.is_cleared_for(tenancy)
            || tenancy.served.still_holds(directory, || {
                self.identity.database.epoch(&tenancy.scope.schema, self.cluster_of(tenancy))
            });
        served && self.has_turn(tenancy)
    }

    /// Waits for the turn of the message at the head of the buffer, or looks up the state of its tenant. Afterwards the
    /// message continues, or has been refused.
    pub(super) async fn await_tenant(&mut self, tenancy: Arc<Tenancy>) -> Result<(), End> {
        if self.lacks_turn(&tenancy) {
            return Box::pin(self.await_turn(&tenancy)).await;
        }
        let database = Arc::clone(&self.identity.database);
        let (directory, schema) = (&database.home.directory, Arc::from(&*tenancy.scope.schema));
        let Some(tenant) = tenancy.scope.tenant.as_deref() else {
            tenancy.served.note(directory.changes(), directory.epoch(&schema));
            return self.clear(&tenancy);
        };
        let end = || End::fatal("57P01", gone(tenant));
        let open = self.is_in_a_transaction();
        let until = self.patience();
        let looking = async || database.locate(&schema).await;
        let mut place = self.hold(patiently(until, looking)).await?;
        if let Some(Ok(passing)) = &place
            && passing.look.is_passing()
        {
            place = self.outlast(&schema, passing.clone(), until).await?;
        }
        let refusal = match place {
            Some(Ok(place)) if place.cluster.id != self.cluster_of(&tenancy).id => {
                match self.follow(&tenancy, &place)? {
                    None => return Ok(()),
                    Some(refusal) => refusal,
                }
            }
            Some(Ok(Located { look, .. })) => match Unserved::of(look.state) {
                None => {
                    tenancy.served.note(look.changes, look.epoch);
                    return self.clear(&tenancy);
                }
                // Without the schema, a name would mean a shared table, so even a transaction ends.
                Some(Unserved::Gone) if open && look.state.is_none() => return Err(end()),
                // In a pipeline, the answers of the messages in front reach the client first.
                Some(Unserved::Gone) if !open && !self.has_sent() => return Err(end()),
                _ if open => return self.clear(&tenancy),
                Some(unserved) => unserved.refusal(tenant),
            },
            Some(Err(_)) if open => return self.clear(&tenancy),
            Some(Err(error)) => no_answer(&error, &database),
            None => cancelled(),
        };
        self.refuse_head(refusal);
        self.release().await?;
        Ok(())
    }

    /// The tenant of that name, if it exists, the user may name it, and it is served.
    pub(super) async fn find_tenant(
        &mut self,
        tenant: &TenantId,
    ) -> Result<Result<Arc<Tenancy>, Refusal>, End> {
        let (database, user) = (Arc::clone(&self.identity.database), Arc::clone(&self.identity.user));
        let config = Arc::clone(&self.config);
        let may_name = user.rights.tenant_switch && user.may_name(tenant.as_str());
        let until = self.patience();
        let unknown = || Refusal {
            code: "42501",
            // The message is the same for a tenant that does not exist and for one that the user may not name.
            message: format!("tenant \"{tenant}\" does not exist or user \"{}\" may not use it", user.name),
            hint: (!user.rights.tenant_switch).then(|| NO_SWITCH.into()),
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
        let Found { cluster, schema, look, .. } = found;
        let mut place = Some(Ok(Located { cluster, look }));
        if let Some(Ok(passing)) = &place
            && passing.look.is_passing()
        {
            place = self.outlast(&schema, passing.clone(), until).await?;
        }
        Ok(match place {
            Some(Ok(Located { cluster, look })) => match Unserved::of(look.state) {
                None => match database.tenancy(Some(tenant), (&cluster, &schema), user.policy(), &config) {
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

    /// Waits for a tenant that is not served yet, if waiting can help. `None`: cancelled.
    async fn outlast(
        &mut self,
        schema: &Arc<str>,
        place: Located,
        until: Instant,
    ) -> Result<Option<Result<Located, Arc<CatalogError>>>, End> {
        let wanted = self.config.tenancy.while_migrating == WhileMigrating::Wait;
        if !wanted || !self.may_wait() {
            return Ok(Some(Ok(place)));
        }
        self.hand_back().await?;
        let (database, metrics) = (Arc::clone(&self.identity.database), Arc::clone(&self.shared.metrics));
        let _held = Held::new(&metrics);
        self.hold(wait_until_served(&database, schema, place, until)).await
    }

    /// Whether a transaction is open and continues: the client's own, or that of a pipeline that has read or written.
    pub(super) fn is_in_a_transaction(&self) -> bool {
        self.status_then() != Status::Idle || self.transaction.has_touched() && self.has_sent()
    }

    /// Whether the message at hand can wait: no part of its transaction has run on a server.
    fn may_wait(&self) -> bool {
        !self.is_in_a_transaction() && !self.has_sent() && !self.head.has_begun()
    }

    /// The time until which the message at hand waits.
    fn patience(&self) -> Instant {
        let limit = if self.may_wait() { self.config.pool.wait_timeout } else { Duration::ZERO };
        Instant::now() + limit
    }

    fn clear(&mut self, tenancy: &Arc<Tenancy>) -> Result<(), End> {
        self.head.clear(tenancy);
        Ok(())
    }

    /// Answers the message at the head of the buffer with an error.
    pub(super) fn refuse_head(&mut self, refusal: Refusal) {
        self.head.give_up();
        // The role that was set for this message is not needed any more.
        if let Some(link) = self.link.as_mut().filter(|link| !link.request.sent) {
            link.next_request();
        }
        match self.framing.drop_request() {
            true => drop(self.refuse_request(refusal)),
            // The message is dropped with all following ones, up to `Sync`.
            false => drop(self.refuse_in_pipeline(refusal)),
        }
    }

    /// Returns the server while its client waits, unless the client is pinned.
    async fn hand_back(&mut self) -> Result<(), End> {
        self.release().await?;
        if !self.pins.is_empty() {
            return Ok(());
        }
        let Some(link) = self.link.take() else { return Ok(()) };
        if self.let_go() {
            self.cancel.settled().await;
        }
        // The reset of the server has not run.
        link.discard();
        Ok(())
    }

    /// Runs `work` while reading from the client, which may disconnect, cancel (`None`), or have to leave.
    pub(super) async fn hold<T>(&mut self, work: impl Future<Output = T>) -> Result<Option<T>, End> {
        let mut work = pin!(work);
        // Usually the result is ready at once.
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

/// Whether a text concerns no tenant, so that a pool can reset its connection in every state of the tenant.
pub(super) fn concerns_no_tenant(plan: &Plan) -> bool {
    use StatementKind::{Deallocate, Discard};
    matches!(&plan.statements[..], [only] if matches!(only.kind, Deallocate(_) | Discard(_)))
}
